#include "layers/batch_statistics.h"

#include <deque>
#include <vector>

#include "engine/core/error.h"
#include "layers/normalization.h"

namespace pila {
namespace {

std::vector<BatchNormalization*> trainable_normalization(const Model& model) {
  std::vector<BatchNormalization*> found;
  for (Layer* layer : model.layers()) {
    auto* norm = dynamic_cast<BatchNormalization*>(layer);
    if (norm != nullptr && norm->trainable()) found.push_back(norm);
  }
  return found;
}

std::vector<double> download(const Context& ctx, const Tensor& tensor) {
  if (tensor.type() == DType::f64) return tensor.to_vector<double>(ctx);
  const std::vector<float> values = tensor.to_vector<float>(ctx);
  return {values.begin(), values.end()};
}

void upload(const Context& ctx, const std::vector<double>& values, const Tensor& tensor) {
  if (tensor.type() == DType::f64) {
    tensor.assign<double>(ctx, values);
  } else {
    const std::vector<float> rounded(values.begin(), values.end());
    tensor.assign<float>(ctx, rounded);
  }
}

// One layer's statistics: measured batch by batch and combined here. At the end the layer has its old ones
// back, or the combined ones where these are kept.
class Measurement {
 public:
  Measurement(const Context& ctx, BatchNormalization& layer)
      : ctx_(ctx),
        layer_(layer),
        left_mean_(download(ctx, mean_tensor())),
        left_variance_(download(ctx, variance_tensor())),
        mean_(left_mean_.size()),
        squares_(left_mean_.size()) {
    layer_.set_measuring(true);
  }
  ~Measurement() {
    layer_.set_measuring(false);
    upload(ctx_, left_mean_, mean_tensor());
    upload(ctx_, left_variance_, variance_tensor());
  }
  Measurement(const Measurement&) = delete;
  Measurement& operator=(const Measurement&) = delete;

  // Takes in what the layer measured on a batch of `count` images behind `before` others.
  void add_batch(double before, double count) {
    const std::vector<double> mean = download(ctx_, mean_tensor());
    const std::vector<double> variance = download(ctx_, variance_tensor());
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double apart = mean[c] - mean_[c];
      mean_[c] += apart * count / (before + count);
      squares_[c] += variance[c] * count + apart * apart * before * count / (before + count);
    }
  }

  void keep(double images) {
    for (double& value : squares_) value /= images;
    left_mean_ = mean_;
    left_variance_ = squares_;
  }

 private:
  const Tensor& mean_tensor() const { return layer_.parameters()[2].value; }
  const Tensor& variance_tensor() const { return layer_.parameters()[3].value; }

  const Context& ctx_;
  BatchNormalization& layer_;
  std::vector<double> left_mean_, left_variance_;
  std::vector<double> mean_, squares_;  // of deviations from the mean, in images
};

}  // namespace

void set_batch_statistics(Model& model, bool batch_statistics) {
  for (BatchNormalization* norm : trainable_normalization(model))
    norm->set_batch_statistics(batch_statistics);
}

std::int64_t recalibrate_batch_norm(const Context& ctx, Model& model,
                                    const std::function<Tensor()>& next_batch) {
  const Context measuring = ctx.inference().no_grad();
  std::deque<Measurement> measurements;
  for (BatchNormalization* norm : trainable_normalization(model)) measurements.emplace_back(measuring, *norm);
  std::int64_t images = 0;
  for (Tensor batch = next_batch(); batch; batch = next_batch()) {
    const std::int64_t count = batch.shape()[0];
    if (count == 0) continue;
    model.features(measuring, batch);
    for (Measurement& measurement : measurements) {
      measurement.add_batch(static_cast<double>(images), static_cast<double>(count));
    }
    images += count;
  }
  if (images == 0) throw UsageError("[batch_norm] expected images to measure statistics on, got none");
  for (Measurement& measurement : measurements) measurement.keep(static_cast<double>(images));
  return images;
}

}  // namespace pila
