// How an inverted residual is cut: its wide tensor exists for a few rows of the image at a time.
//
// Inside, channels go in planes of one vector each: [plane][row][column][lanes]. A group of output rows is
// made chunk by chunk of the wide channels: expand the rows under the window, filter them, and keep what
// comes out; then project the group's pixels, with all wide channels at hand. The products read elements,
// which, where they are not floats, are made of x and of what is filtered, group by group.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/args/inverted_residual.h"
#include "kernels/cpu/product_panel.h"

namespace pila::kernels::cpu {

constexpr int kChunkVectors = 3;       // at most
constexpr int kTiledChunkVectors = 4;  // where the matrix unit makes the products

// The planes of the wide tensor in chunks of whole groups.
struct Chunks {
  Chunks(std::int64_t all_planes, std::int64_t most, std::int64_t group_size)
      : planes(all_planes),
        group(group_size),
        groups(ceil_div(planes, group), most / group),
        count(groups.count) {}
  std::int64_t begin(std::int64_t chunk) const { return std::min(groups.begin(chunk) * group, planes); }
  std::int64_t size(std::int64_t chunk) const { return begin(chunk + 1) - begin(chunk); }
  std::int64_t largest() const {
    return std::min(planes, ceil_div(groups.total, std::max<std::int64_t>(count, 1)) * group);
  }

  const std::int64_t planes, group;
  const Split groups;
  const std::int64_t count;
};

// Sizes in elements and floats, which are as large.
struct InvertedResidualPlan {
  InvertedResidualPlan(const InvertedResidual& args, std::int64_t lanes_of_a_vector,
                       std::int64_t most_vectors)
      : lanes(lanes_of_a_vector),
        planes(ceil_div(args.depthwise.in_c, lanes)),
        element(element_kind(precision_of(args))),
        expand_tiled(args.expand.w != nullptr && element.tiled(args.in_c)),
        project_tiled(args.project.w != nullptr && element.tiled(args.depthwise.in_c)),
        filtered_vector(args.project.w == nullptr ? lanes : plane_row(element, args.depthwise.in_c, lanes)),
        joined(args.project.w == nullptr ? 1 : filtered_vector * element.values / lanes),
        chunks(planes,
               expand_tiled || project_tiled ? kTiledChunkVectors
                                             : std::min<std::int64_t>(most_vectors, kChunkVectors),
               joined),
        project(args.project.w == nullptr ? 0 : args.out_c, filtered_planes(), filtered_vector, element,
                project_tiled),
        taps(args.depthwise.window.kernel_h * args.depthwise.window.kernel_w),
        expand_depth(args.expand.w == nullptr ? 0 : depth_of(args.in_c)) {
    const ConvShape& s = args.depthwise;
    kernel = s.window.kernel_h;
    stride = s.window.stride_h;
    columns = std::max(s.window.pad_left + s.in_w, (s.out_w - 1) * stride + kernel);
    const std::int64_t step_row = stride * row_size() * chunk_planes();
    const std::int64_t filtered_row = s.out_w * filtered_planes() * filtered_vector;
    whole_image = s.out_h * filtered_row <= kWholeImage;
    step_rows = std::max<std::int64_t>(1, kStepSize / (2 * step_row)) * 2;
    group_rows = whole_image ? s.out_h
                             : std::max<std::int64_t>(1, kGroupSize / (step_rows * filtered_row)) * step_rows;
    ring_rows = (step_rows - 1) * stride + kernel;
    const std::int64_t group_input = std::min(s.in_h, (group_rows - 1) * stride + kernel);
    rounded_size = element.values == 1 ? 0 : group_input * s.in_w * expand_depth;
  }

  std::int64_t chunk_planes() const { return chunks.largest(); }

  // ---- prepared weights: for each chunk the head and weights of expand and then, for each plane, the
  // depthwise weights and bias; behind all chunks, for each panel, the head and weights of project.
  std::int64_t depthwise_size() const { return (taps + 1) * lanes; }
  std::int64_t expand_size() const {
    return expand_depth == 0 ? 0 : (expand_depth + element.head_rows) * lanes;
  }
  std::int64_t chunk_at(std::int64_t chunk) const {
    return chunks.begin(chunk) * (expand_size() + depthwise_size());
  }
  std::int64_t project_at() const { return chunk_at(chunks.count); }
  // Chunks and panels in one row.
  std::int64_t parts() const { return chunks.count + project.vectors.count; }
  std::int64_t part_at(std::int64_t part) const {
    return part < chunks.count ? chunk_at(part) : project_at() + project.at(part - chunks.count);
  }
  std::int64_t prepared_size() const { return part_at(parts()); }

  // ---- a worker's scratch memory: some rows of the wide tensor behind expand, all of its planes or, where a
  // group is the whole image, one chunk's; a row of zeros; and two filtered rows of a plane.
  std::int64_t row_size() const { return columns * lanes; }
  std::int64_t ring_planes() const { return whole_image ? chunk_planes() : planes; }
  std::int64_t ring_size() const { return ring_planes() * ring_rows * row_size(); }
  std::int64_t filtered_plane(std::int64_t out_w) const { return group_rows * out_w * filtered_vector; }
  // Where a plane of the wide tensor goes in the filtered one.
  std::int64_t filtered_at(std::int64_t plane, std::int64_t out_w) const {
    return plane / joined * filtered_plane(out_w) + plane % joined * (filtered_vector / joined);
  }
  std::int64_t filtered_planes() const { return ceil_div(planes, joined); }
  std::int64_t filtered_size(std::int64_t out_w) const { return filtered_planes() * filtered_plane(out_w); }
  bool rounds_filtered() const { return element.values > 1 && project.columns > 0; }

  const std::int64_t lanes;
  const std::int64_t planes;               // of the wide tensor
  const ElementKind element;               // of the products
  const bool expand_tiled, project_tiled;  // by the matrix unit
  const std::int64_t filtered_vector;      // a pixel of a plane of the filtered tensor
  const std::int64_t joined;               // planes of the wide tensor in one of the filtered tensor
  const Chunks chunks;                     // of planes
  const ProductColumns project;
  const std::int64_t taps;
  const std::int64_t expand_depth;  // 0 where there is no expand
  std::int64_t kernel, stride;
  std::int64_t columns;       // of the wide tensor's rows, borders included
  bool whole_image;           // one group
  std::int64_t step_rows;     // of output, made from rows that lie in the first cache
  std::int64_t group_rows;    // of output
  std::int64_t ring_rows;     // of the wide tensor at a time
  std::int64_t rounded_size;  // of x, a group's rows at most; 0 where x is read as it is

 private:
  // Elements of a row of k values, whole tiles where there are several.
  std::int64_t depth_of(std::int64_t k) const {
    const std::int64_t depth = ceil_div(k, element.values);
    return expand_tiled && depth > kTileColumns ? round_up(depth, kTileColumns) : depth;
  }

  static constexpr std::int64_t kStepSize = 6 << 10;      // 24 KiB
  static constexpr std::int64_t kGroupSize = 48 << 10;    // 192 KiB
  static constexpr std::int64_t kWholeImage = 128 << 10;  // 512 KiB
};

}  // namespace pila::kernels::cpu
