// Picture files made by hand, for what encoders do not write.
#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace pila::test {

using FileBytes = std::vector<std::uint8_t>;

// A picture of four colours: red, green / blue, yellow; 2 * half_width by 2 * half_height, BGR as OpenCV
// wants.
cv::Mat quadrants(int half_width, int half_height);

// OpenCV's encoders; ending with the dot: ".png". WebP is lossless, JPEG of high quality.
FileBytes encode(const std::string& ending, const cv::Mat& pixels);

// An EXIF block that says nothing but the orientation.
FileBytes exif_block(int orientation, bool big_endian);
FileBytes jpeg_with_exif(const FileBytes& jpeg, const FileBytes& exif);
FileBytes png_with_chunk(const FileBytes& png, const std::string& type, const FileBytes& data);
FileBytes webp_with_exif(const FileBytes& webp, int width, int height, const FileBytes& exif);

// 8-bit palette indices; alphas (tRNS) may be shorter than the palette of RGB triples.
FileBytes palette_png(int width, int height, const FileBytes& indices, const FileBytes& palette,
                      const FileBytes& alphas);
// A PNG that has a header and no data.
FileBytes png_header_only(std::uint32_t width, std::uint32_t height);

// A GIF whose one picture of indices into four colours (black, red, green, blue) stands at (left, top) of the
// screen. transparent: an index, or -1.
FileBytes gif(int screen_width, int screen_height, int left, int top, int width, int height,
              const FileBytes& indices, int transparent, bool interlaced);

// 8 x 8 pixels of red in a CMYK JPEG as Photoshop writes it.
FileBytes red_cmyk_jpeg();

}  // namespace pila::test
