#include "kernels/reference/cast.h"

#include "kernels/args/elementwise.h"
#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

Status cast(const Cast& args, const Launch&) {
  with_type(args.from, [&](auto from) {
    with_type(args.to, [&](auto to) {
      const auto* x = static_cast<const decltype(from)*>(args.x);
      auto* y = static_cast<decltype(to)*>(args.y);
      for (std::int64_t i = 0; i < args.count; ++i) y[i] = convert<decltype(to)>(x[i]);
    });
  });
  return nullptr;
}

Status fill(const Fill& args, const Launch&) {
  with_type(args.type, [&](auto element) {
    auto* y = static_cast<decltype(element)*>(args.y);
    std::fill_n(y, args.count, convert<decltype(element)>(args.value));
  });
  return nullptr;
}

}  // namespace

void add_cast_kernels(KernelTable& table) {
  table.cast.add({"reference", [](const Cast&) { return true; }, nullptr, cast});
  table.fill.add({"reference", [](const Fill&) { return true; }, nullptr, fill});
}

}  // namespace pila::kernels::reference
