#include "layers/batch_statistics.h"

#include <deque>
#include <numeric>
#include <span>
#include <vector>

#include "engine/core/error.h"
#include "engine/parallel/communicator.h"
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
    std::vector<double> squares = download(ctx_, variance_tensor());
    for (double& value : squares) value *= count;
    add(before, count, download(ctx_, mean_tensor()), squares);
  }

  // Takes in what all ranks measured, in their order, each on so many images.
  void add_ranks(std::span<const double> images) {
    const std::size_t channels = mean_.size();
    const std::vector<double> means = ctx_.ranks().gather_values(std::span<const double>(mean_));
    const std::vector<double> squares = ctx_.ranks().gather_values(std::span<const double>(squares_));
    mean_.assign(channels, 0);
    squares_.assign(channels, 0);
    double before = 0;
    for (std::size_t rank = 0; rank < images.size(); ++rank) {
      if (images[rank] == 0) continue;
      const auto of_rank = [&](const std::vector<double>& all) {
        return std::span(all).subspan(rank * channels, channels);
      };
      add(before, images[rank], of_rank(means), of_rank(squares));
      before += images[rank];
    }
  }

  void keep(double images) {
    for (double& value : squares_) value /= images;
    left_mean_ = mean_;
    left_variance_ = squares_;
  }

 private:
  void add(double before, double count, std::span<const double> mean, std::span<const double> squares) {
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double apart = mean[c] - mean_[c];
      mean_[c] += apart * count / (before + count);
      squares_[c] += squares[c] + apart * apart * before * count / (before + count);
    }
  }

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
  double images = 0;
  for (Tensor batch = next_batch(); batch; batch = next_batch()) {
    const auto count = static_cast<double>(batch.shape()[0]);
    if (count == 0) continue;
    model.features(measuring, batch);
    for (Measurement& measurement : measurements) measurement.add_batch(images, count);
    images += count;
  }
  const std::vector<double> of_ranks = ctx.ranks().gather_values(std::span<const double>(&images, 1));
  images = std::accumulate(of_ranks.begin(), of_ranks.end(), 0.0);
  if (images == 0) throw UsageError("[batch_norm] expected images to measure statistics on, got none");
  for (Measurement& measurement : measurements) {
    if (!ctx.ranks().alone()) measurement.add_ranks(of_ranks);
    measurement.keep(images);
  }
  return static_cast<std::int64_t>(images);
}

}  // namespace pila
