// An image and the window that goes over it.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/args/conv.h"

namespace pila::test {

struct Image {
  std::int64_t batch, in_h, in_w, in_c, out_c;
  int kernel = 3, stride = 1, pad = 1, groups = 1, dilation = 1;

  // As many windows as fit, with `pad` zeros on each side.
  kernels::ConvShape shape() const {
    kernels::ConvShape shape;
    shape.batch = batch;
    shape.in_h = in_h;
    shape.in_w = in_w;
    shape.in_c = in_c;
    const int reach = dilation * (kernel - 1) + 1;
    shape.out_h = (in_h + 2 * pad - reach) / stride + 1;
    shape.out_w = (in_w + 2 * pad - reach) / stride + 1;
    shape.out_c = out_c;
    shape.groups = groups;
    shape.window = {kernel, kernel, stride, stride, dilation, dilation, pad, pad};
    return shape;
  }
  std::string name() const {
    std::string text = std::to_string(batch);
    for (const auto size : {in_h, in_w, in_c, out_c}) text += " x " + std::to_string(size);
    for (const int of : {kernel, stride, pad, groups, dilation}) text += ", " + std::to_string(of);
    return text;
  }
};

}  // namespace pila::test
