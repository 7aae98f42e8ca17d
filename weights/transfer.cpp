#include "weights/transfer.h"

#include <algorithm>
#include <map>
#include <span>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

bool same_weights(const Layer& a, const Layer& b) {
  return std::ranges::equal(a.parameters(), b.parameters(), [](const Parameter& x, const Parameter& y) {
    return x.name == y.name && x.value.spec() == y.value.spec();
  });
}

std::string describe(const ModelSpec& spec) {
  return spec.network + " of width " + std::to_string(spec.width).substr(0, 4);
}

void check_backbones(const Model& model, const Model& source, const std::string& source_name) {
  const auto ours = model.backbone().layers(), theirs = source.backbone().layers();
  const bool same = std::ranges::equal(ours, theirs, [](const Layer* a, const Layer* b) {
    return a->name() == b->name() && same_weights(*a, *b);
  });
  if (!same || model.spec().network != source.spec().network) {
    throw FileError(source_name + ": expected " + describe(model.spec()) + ", got " +
                    describe(source.spec()));
  }
}

void copy_weights(const Context& ctx, const Layer& from, const Layer& to) {
  for (std::size_t i = 0; i < to.parameters().size(); ++i) {
    to.parameters()[i].value.assign(ctx, from.parameters()[i].value);
  }
}

// The layers of the head that hold weights; the last one gives the logits.
std::vector<const Layer*> head_layers(const Model& model) {
  std::vector<const Layer*> layers;
  for (std::size_t i = model.backbone().layers().size(); i < model.layers().size(); ++i) {
    if (!model.layers()[i]->parameters().empty()) layers.push_back(model.layers()[i]);
  }
  return layers;
}

// Why the class's part of the source's last layer would mean something else in the model; empty when it fits.
std::string why_not(std::span<const Layer* const> ours, std::span<const Layer* const> theirs,
                    const ModelDescription& source) {
  if (source.classes.empty() || theirs.empty()) return "the file does not name its classes";
  if (ours.size() != theirs.size()) return "the heads have different numbers of layers";
  for (std::size_t i = 0; i + 1 < ours.size(); ++i) {
    if (!same_weights(*ours[i], *theirs[i])) return "the heads' layers have different sizes";
  }
  const auto& a = ours.back()->parameters();
  const auto& b = theirs.back()->parameters();
  if (a.size() != b.size() || a[0].value.shape()[0] != b[0].value.shape()[0]) {
    return "the heads' last layers have different sizes";
  }
  return {};
}

// Copies, for each pair (to, from), one element of the last axis of every parameter of a layer.
template <class T>
void copy_columns(const Context& ctx, const Layer& from, const Layer& to,
                  const std::vector<std::pair<std::size_t, std::size_t>>& pairs) {
  for (std::size_t i = 0; i < to.parameters().size(); ++i) {
    const Tensor &source = from.parameters()[i].value, &target = to.parameters()[i].value;
    const std::vector<T> old_values = source.to_vector<T>(ctx);
    std::vector<T> values = target.to_vector<T>(ctx);
    const auto old_width = static_cast<std::size_t>(source.shape()[-1]);
    const auto width = static_cast<std::size_t>(target.shape()[-1]);
    for (std::size_t row = 0; row < values.size() / width; ++row) {
      for (const auto& [column, old_column] : pairs) {
        values[row * width + column] = old_values[row * old_width + old_column];
      }
    }
    target.assign(ctx, std::span<const T>(values));
  }
}

}  // namespace

TransferReport transfer_weights(const Context& ctx, Model& model, const std::vector<std::string>& classes,
                                const LoadedModel& source, const std::string& source_name) {
  if (static_cast<std::int64_t>(classes.size()) != model.classes()) {
    throw UsageError("[transfer] expected " + std::to_string(model.classes()) + " classes, got " +
                     std::to_string(classes.size()));
  }
  check_backbones(model, *source.model, source_name);
  const auto ours = model.backbone().layers(), theirs = source.model->backbone().layers();
  for (std::size_t i = 0; i < ours.size(); ++i) copy_weights(ctx, *theirs[i], *ours[i]);

  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < source.classes.size(); ++i) known.emplace(source.classes[i], i);
  TransferReport report;
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const auto found = known.find(classes[i]);
    (found == known.end() ? report.added : report.kept).push_back(classes[i]);
    if (found != known.end()) pairs.emplace_back(i, found->second);
  }
  std::ranges::copy_if(source.classes, std::back_inserter(report.dropped), [&](const std::string& name) {
    return std::ranges::find(classes, name) == classes.end();
  });

  const std::vector<const Layer*> head = head_layers(model), old_head = head_layers(*source.model);
  report.remark = why_not(head, old_head, source);
  if (!report.remark.empty()) {
    report.kept.clear();
    report.added = classes;
    return report;
  }
  for (std::size_t i = 0; i + 1 < head.size(); ++i) copy_weights(ctx, *old_head[i], *head[i]);
  if (model.spec().type == DType::f64) {
    copy_columns<double>(ctx, *old_head.back(), *head.back(), pairs);
  } else {
    copy_columns<float>(ctx, *old_head.back(), *head.back(), pairs);
  }
  return report;
}

}  // namespace pila
