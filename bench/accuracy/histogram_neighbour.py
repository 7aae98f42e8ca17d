"""How far colours alone go on a data set: the class of the picture with the most similar colour histogram.

Takes DIR/<class>/<group>/*, as pila-dataset synth writes it, and asks pictures of other groups alone: the
group of the picture itself, such as its specimen, does not count.
"""

import argparse
import pathlib

import numpy

from torch_images import read_rgb

BINS = (4, 6, 8)  # of each of red, green and blue


def histogram(pixels, bins):
    places = (pixels.reshape(-1, 3).astype(numpy.int64) * bins) // 256
    counts = numpy.bincount(places @ numpy.array([bins * bins, bins, 1]), minlength=bins**3)
    return counts / counts.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    files = sorted(file for file in options.folder.glob("*/*/*") if file.is_file())
    classes = numpy.array([file.parts[-3] for file in files])
    groups = numpy.array(["/".join(file.parts[-3:-1]) for file in files])
    pictures = [read_rgb(file) for file in files]
    for bins in BINS:
        histograms = numpy.array([histogram(pixels, bins) for pixels in pictures])
        right = 0
        for i in range(len(files)):
            distances = numpy.abs(histograms - histograms[i]).sum(1)
            distances[groups == groups[i]] = numpy.inf
            right += classes[distances.argmin()] == classes[i]
        print(f"{bins} bins a colour: {right / len(files):.1%} of {len(files)} pictures, "
              f"{len(set(classes))} classes")


if __name__ == "__main__":
    main()
