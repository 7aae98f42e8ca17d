#include "weights/load_weights.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

// Keras 3 calls the depthwise kernel "kernel", older versions "depthwise_kernel".
bool same_weight(std::string_view a, std::string_view b) {
  constexpr std::string_view kDepthwise = "depthwise_kernel", kKernel = "kernel";
  return (a == kDepthwise ? kKernel : a) == (b == kDepthwise ? kKernel : b);
}

const Weight* find_weight(const WeightLayer& layer, std::string_view name) {
  const auto found =
      std::ranges::find_if(layer.weights, [&](const Weight& w) { return same_weight(w.name, name); });
  return found == layer.weights.end() ? nullptr : &*found;
}

bool same_shape(const Parameter& parameter, const Array& array) {
  return std::ranges::equal(parameter.value.shape().extents(), array.shape);
}

bool fits(const Layer& layer, const WeightLayer& stored) {
  return std::ranges::all_of(layer.parameters(), [&](const Parameter& parameter) {
    const Weight* weight = find_weight(stored, parameter.name);
    return weight != nullptr && same_shape(parameter, weight->array);
  });
}

// "BatchNormalization" to "batch_normalization", "Conv2D" to "conv2d", as Keras does it.
std::string snake_case(const std::string& name) {
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool upper = std::isupper(static_cast<unsigned char>(name[i])) != 0;
    const bool next_lower = i + 1 < name.size() && std::islower(static_cast<unsigned char>(name[i + 1])) != 0;
    const bool after_lower = i > 0 && std::islower(static_cast<unsigned char>(name[i - 1])) != 0;
    if (upper && i > 0 && (next_lower || after_lower)) {
      result += '_';
    }
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
  }
  return result;
}

using Matches = std::map<const Layer*, const WeightLayer*>;

// By name; among several of one name, by shape.
const WeightLayer* match(const Layer& layer, const WeightFile& file) {
  if (const WeightLayer* found = file.find(layer.name())) {
    return found;
  }
  std::vector<const WeightLayer*> fitting;
  for (const WeightLayer& stored : file.layers) {
    if (ends_with_path(stored.path, layer.name()) && fits(layer, stored)) {
      fitting.push_back(&stored);
    }
  }
  return fitting.size() == 1 ? fitting[0] : nullptr;
}

Matches match_by_name(const std::vector<Layer*>& layers, const WeightFile& file) {
  Matches matches;
  std::set<const WeightLayer*> taken;
  for (const Layer* layer : layers) {
    const WeightLayer* stored = match(*layer, file);
    if (stored != nullptr && taken.insert(stored).second) {
      matches[layer] = stored;
    }
  }
  return matches;
}

Matches match_by_class(const std::vector<Layer*>& layers, const WeightFile& file) {
  std::map<std::string, std::vector<const WeightLayer*>> by_class;
  for (const WeightLayer& stored : file.layers) {
    by_class[stored.type].push_back(&stored);
  }
  Matches matches;
  std::map<std::string, std::size_t> used;
  for (const Layer* layer : layers) {
    const std::string type = snake_case(layer->type());
    const std::size_t number = used[type]++;
    if (const auto& stored = by_class[type]; number < stored.size()) {
      matches[layer] = stored[number];
    }
  }
  return matches;
}

bool has_no_names(const WeightFile& file) {
  return file.layout == WeightLayout::keras3 &&
         std::ranges::all_of(file.layers, [](const WeightLayer& layer) { return layer.path.empty(); });
}

std::vector<Layer*> layers_with_weights(const Model& model, WeightScope scope) {
  const auto& layers = model.layers();
  const auto backbone = static_cast<std::ptrdiff_t>(model.backbone().layers().size());
  std::vector<Layer*> wanted(layers.begin(),
                             scope == WeightScope::model ? layers.end() : layers.begin() + backbone);
  std::erase_if(wanted, [](const Layer* layer) { return layer->parameters().empty(); });
  return wanted;
}

struct Assignment {
  const Parameter* parameter;
  const Array* array;
};

struct Plan {
  std::vector<Assignment> assignments;
  LoadReport report;
};

Plan plan_load(const Model& model, const WeightFile& file, WeightScope scope) {
  Plan plan;
  const std::vector<Layer*> layers = layers_with_weights(model, scope);
  const bool by_class = has_no_names(file);
  const Matches matches = by_class ? match_by_class(layers, file) : match_by_name(layers, file);
  if (by_class) {
    plan.report.warnings.push_back(
        "the file stores no layer names: layers were matched by class, order and shape, which is only right "
        "for a "
        "model built like this one");
  }
  std::set<const Weight*> used;
  for (const Layer* layer : layers) {
    const auto matched = matches.find(layer);
    for (const Parameter& parameter : layer->parameters()) {
      const std::string name = layer->name() + "/" + parameter.name;
      const Weight* weight =
          matched == matches.end() ? nullptr : find_weight(*matched->second, parameter.name);
      if (weight == nullptr) {
        plan.report.missing.push_back(name);
        continue;
      }
      used.insert(weight);
      if (!weight->array.other_type.empty()) {
        plan.report.misshapen.push_back(name + ": expected floating-point numbers, got " +
                                        weight->array.other_type);
      } else if (!same_shape(parameter, weight->array)) {
        plan.report.misshapen.push_back(name + ": expected " + parameter.value.shape().to_string() +
                                        ", got " + shape_text(weight->array.shape));
      } else {
        plan.assignments.push_back({&parameter, &weight->array});
      }
    }
  }
  for (const WeightLayer& layer : file.layers) {
    for (const Weight& weight : layer.weights) {
      if (!used.contains(&weight)) {
        plan.report.left_over.push_back(layer.label() + "/" + weight.name);
      }
    }
  }
  plan.report.loaded = plan.assignments.size();
  return plan;
}

template <class To>
void assign(const Context& ctx, const Tensor& tensor, const Array& array) {
  std::visit(
      [&](const auto& values) {
        std::vector<To> converted(values.size());
        std::ranges::transform(values, converted.begin(), [](auto value) { return static_cast<To>(value); });
        tensor.assign(ctx, std::span<const To>(converted));
      },
      array.values);
}

void assign(const Context& ctx, const Tensor& tensor, const Array& array) {
  switch (tensor.type()) {
    case DType::f32:
      return assign<float>(ctx, tensor, array);
    case DType::f64:
      return assign<double>(ctx, tensor, array);
    default:
      throw UsageError("[load_weights] expected parameters of float32 or float64, got " +
                       to_string(tensor.type()));
  }
}

}  // namespace

LoadReport compare_weights(const Model& model, const WeightFile& file, WeightScope scope) {
  return plan_load(model, file, scope).report;
}

LoadReport load_weights(const Context& ctx, Model& model, const WeightFile& file, WeightScope scope) {
  const Plan plan = plan_load(model, file, scope);
  const LoadReport& report = plan.report;
  if (!report.missing.empty() || !report.misshapen.empty()) {
    std::string message = file.file.string() + ": does not fit the model:";
    if (!report.missing.empty()) {
      message += " missing " + listed(report.missing) + (report.misshapen.empty() ? "" : ";");
    }
    if (!report.misshapen.empty()) {
      message += " misshapen " + listed(report.misshapen);
    }
    if (!report.left_over.empty()) {
      message += "; left over " + listed(report.left_over);
    }
    throw FileError(message);
  }
  for (const Assignment& assignment : plan.assignments) {
    assign(ctx, assignment.parameter->value, *assignment.array);
  }
  return report;
}

}  // namespace pila
