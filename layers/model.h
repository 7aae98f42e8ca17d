// A classification network: a backbone from the list of known ones, and a head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "layers/layer.h"

namespace pila {

// Is shown the output of every block as forward passes compute it, by the name of the Keras layer that ends
// the block ("Conv1_relu", "block_2_add", "out_relu").
using Observer = std::function<void(const std::string& name, const Tensor& output)>;

// The part that maps images to features.
class Backbone {
 public:
  Backbone() = default;
  virtual ~Backbone() = default;
  Backbone(const Backbone&) = delete;
  Backbone& operator=(const Backbone&) = delete;
  // Keras' layers in Keras' order (input, padding and activation layers too): "freeze the first k" counts
  // these.
  virtual std::span<Layer* const> layers() const = 0;
  // Where each block begins in layers(), in order: the stem (0), the blocks, the last convolution.
  virtual std::span<const std::size_t> blocks() const = 0;
  // Channels of the features.
  virtual std::int64_t channels() const = 0;
  // Images [n, h, w, 3] to features [n, h', w', c].
  virtual Tensor forward(const Context& ctx, const Tensor& images, const Observer& observe = {}) const = 0;
};

// One layer behind the backbone. type: "GlobalAveragePooling2D", "Dropout", "Dense".
struct HeadLayerSpec {
  std::string type;
  std::string name;
  std::int64_t units = 0;             // Dense
  bool bias = true;                   // Dense
  std::string activation = "linear";  // Dense: "linear", "relu", "softmax"
  double rate = 0;                    // Dropout
  bool operator==(const HeadLayerSpec&) const = default;
};

struct ModelSpec {
  std::string network = "mobilenet_v2";
  double width = 1.0;                                  // alpha
  std::int64_t input_height = 224, input_width = 224;  // at least 32
  std::vector<HeadLayerSpec> head;                     // empty: no top; ends with its last Dense layer
  DType type = DType::f32;                             // or f64
  bool operator==(const ModelSpec&) const = default;
};

// Keras' own top: global average pooling, then Dense "predictions" with softmax.
std::vector<HeadLayerSpec> imagenet_head(std::int64_t classes = 1000);

class Head;

class Model {
 public:
  // Weights as Keras initialises them, from the seed. Throws ShapeError for a spec that makes no network.
  Model(const Context& ctx, ModelSpec spec, std::uint64_t seed = 0);
  ~Model();

  const ModelSpec& spec() const { return spec_; }
  const Backbone& backbone() const { return *backbone_; }
  std::int64_t classes() const;  // 0 without a Dense layer in the head

  // Backbone and head layers, in Keras' order.
  const std::vector<Layer*>& layers() const { return layers_; }
  Layer* find_layer(const std::string& name) const;  // null when there is none
  std::int64_t parameter_count() const;

  // Makes the first k layers untrainable and the rest trainable, by Keras' count: model.layers[:k]. Throws
  // UsageError for k < 0.
  void freeze_first(int k);
  // Parameters that learn: of trainable layers, without moving statistics.
  std::vector<Parameter*> trainable_parameters() const;
  // Parameters that a training step changes: the trainable ones, and the moving statistics of batch
  // normalisation that goes by the batch's.
  std::vector<Parameter*> changing_parameters() const;

  // Images [n, h, w, 3] of the spec's type and size, preprocessed. features(): what the backbone gives.
  // logits(): before the last softmax (what the head gives when it has no Dense layer, the features when
  // there is no head). probabilities(): softmax of the logits; throws UsageError when classes() is 0.
  Tensor features(const Context& ctx, const Tensor& images, const Observer& observe = {}) const;
  Tensor logits(const Context& ctx, const Tensor& images, const Observer& observe = {}) const;
  Tensor probabilities(const Context& ctx, const Tensor& images) const;

 private:
  ModelSpec spec_;
  std::unique_ptr<Backbone> backbone_;
  std::unique_ptr<Head> head_;
  std::vector<Layer*> layers_;
};

}  // namespace pila
