#include "bench/layers/task.h"

#include <algorithm>
#include <tuple>

namespace pila::bench {
namespace {

auto shape_key(const LayerShape& layer) {
  return std::tuple(layer.kind, layer.in_size, layer.in_channels, layer.out_channels, layer.kernel,
                    layer.stride, layer.relu6, layer.residual);
}

bool same_shape(const Task& a, const Task& b) {
  return std::ranges::equal(a.parts, b.parts, {}, shape_key, shape_key);
}

void add(std::vector<Task>& tasks, Task task) {
  const auto known = std::ranges::find_if(tasks, [&](const Task& other) { return same_shape(other, task); });
  if (known == tasks.end()) {
    tasks.push_back(std::move(task));
  } else {
    ++known->count;
  }
}

std::string block_of(const LayerShape& layer) {
  const auto point = layer.name.find('.');
  return point == std::string::npos ? std::string() : layer.name.substr(0, point);
}

std::string pixels(std::int64_t size, std::int64_t channels) {
  const std::string side = std::to_string(size);
  return side + "x" + side + "x" + std::to_string(channels);
}

}  // namespace

std::string name_of(Direction direction) {
  switch (direction) {
    case Direction::forward:
      return "forward";
    case Direction::data_gradient:
      return "data gradient";
    case Direction::filter_gradient:
      return "filter gradient";
  }
  return {};
}

std::vector<Task> tasks_of(const std::vector<LayerShape>& network, Direction direction) {
  std::vector<Task> layers, blocks;
  for (const LayerShape& layer : network) {
    const bool reads_images = &layer == &network.front();  // whose gradient nobody asks for
    if (direction == Direction::data_gradient && reads_images) continue;
    add(layers, {layer.name, {layer}, direction});
  }
  for (std::size_t first = 0; direction == Direction::forward && first < network.size();) {
    const std::string name = block_of(network[first]);
    std::size_t end = first + 1;
    while (!name.empty() && end < network.size() && block_of(network[end]) == name) ++end;
    if (end > first + 1)
      add(blocks, {name,
                   {network.begin() + static_cast<std::ptrdiff_t>(first),
                    network.begin() + static_cast<std::ptrdiff_t>(end)}});
    first = end;
  }
  layers.insert(layers.end(), blocks.begin(), blocks.end());
  return layers;
}

Work work_of(const Task& task, std::int64_t batch, kernels::DType type) {
  const auto images = static_cast<double>(batch);
  const auto size = static_cast<double>(kernels::size_of(type));
  const LayerShape &first = task.parts.front(), &last = task.parts.back();
  Work work;
  double numbers = static_cast<double>(first.in_size * first.in_size * first.in_channels +
                                       last.out_size * last.out_size * last.out_channels);
  // Inside a block the residual is its input, which is read anyhow.
  if (!task.is_block() && last.residual && task.direction == Direction::forward) {
    numbers += static_cast<double>(last.out_size * last.out_size * last.out_channels);
  }
  work.bytes = images * numbers * size;
  for (const LayerShape& layer : task.parts) {
    work.flops += images * layer.flops();
    work.bytes += layer.weights() * size;
    if (task.direction == Direction::forward) work.bytes += 4 * static_cast<double>(layer.out_channels);
  }
  return work;
}

kernels::ConvShape conv_shape(const LayerShape& layer, std::int64_t batch, Padding padding) {
  kernels::ConvShape shape;
  shape.batch = batch;
  shape.in_h = shape.in_w = layer.in_size;
  shape.in_c = layer.in_channels;
  shape.out_h = shape.out_w = layer.out_size;
  shape.out_c = layer.out_channels;
  shape.window.kernel_h = shape.window.kernel_w = layer.kernel;
  shape.window.stride_h = shape.window.stride_w = layer.stride;
  const bool bottom_only = padding == Padding::keras && layer.stride == 2 && layer.in_size % 2 == 0;
  shape.window.pad_top = shape.window.pad_left = bottom_only ? 0 : (layer.kernel - 1) / 2;
  return shape;
}

std::string shape_text(const Task& task) {
  const LayerShape &first = task.parts.front(), &last = task.parts.back();
  return pixels(first.in_size, first.in_channels) + " to " + pixels(last.out_size, last.out_channels);
}

}  // namespace pila::bench
