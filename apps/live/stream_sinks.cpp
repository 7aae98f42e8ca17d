#include "apps/live/stream_sinks.h"

#include <fmt/format.h>

#include <utility>

#include "apps/items/dispatch.h"
#include "apps/live/line_sink.h"
#include "apps/live/picture_sinks.h"

namespace pila {
StreamSinks::StreamSinks(const StreamOptions& options, const Stream& stream, Alarms& alarms)
    : explainer_(options.model), model_(options.model) {
  const LineOptions lines{.json = !options.json.empty(), .frames = options.json_frames, .top = options.top};
  sinks_.push_back(std::make_unique<LineSink>(options.json.empty() ? "-" : options.json, lines, alarms));
  if (!options.store.file.empty()) {
    store_ = Store::open(options.store);
    auto sink = std::make_unique<StoreSink>(*store_, stream.name, options.doubtful_below, alarms);
    store_sink_ = sink.get();
    sinks_.push_back(std::move(sink));
  }
  if (!options.ejectors.empty()) {
    std::vector<std::string> bins;
    for (const std::string& rule : options.bins) bins.push_back(parse_bin_rule(rule).bin);
    auto sink = std::make_unique<EjectSink>(options.ejectors, bins, alarms);
    eject_sink_ = sink.get();
    sinks_.push_back(std::move(sink));
  }
  if (!options.video.empty()) {
    sinks_.push_back(std::make_unique<VideoSink>(options.video, stream.fps, stream.live, alarms));
  }
  if (options.window) sinks_.push_back(std::make_unique<WindowSink>("pila-live", stream.stop));
  if (!options.http.empty()) open_page(options, stream);
}

void StreamSinks::open_page(const StreamOptions& options, const Stream& stream) {
  WebServices services;
  services.classify = [this](const media::Image& picture) {
    auto [probabilities, recognised, heat_map] = explainer_.explain(picture);
    return WebServices::Explained{std::move(probabilities), recognised, std::move(heat_map)};
  };
  services.statistics = stream.statistics;
  services.model = stream.model;
  services.store = store_.get();
  const WebOptions address = web_options(options.http, options.http_token);
  host_ = address.host;
  auto page = std::make_unique<WebServer>(address, std::vector<std::string>{}, std::move(services));
  page_ = page.get();
  sinks_.push_back(std::move(page));
}

void StreamSinks::use_model(const std::vector<std::string>& classes, const std::string& hash) {
  explainer_.use(model_);
  if (store_) store_->set_classes(classes);
  if (store_sink_ != nullptr) store_sink_->set_model(hash);
  if (page_ != nullptr) page_->set_classes(classes);
}

void StreamSinks::alarm(const std::string& line) {
  if (page_ != nullptr) page_->alarm(line);
}

void StreamSinks::frame(const FrameReport& report) {
  for (const auto& sink : sinks_) sink->frame(report);
}

void StreamSinks::item(const ItemReport& report) {
  for (const auto& sink : sinks_) sink->item(report);
}

void StreamSinks::finish() {
  for (const auto& sink : sinks_) sink->finish();
}

std::string StreamSinks::page() const {
  if (page_ == nullptr) return {};
  return fmt::format("page: http://{}:{}/", host_, page_->port());
}

std::string StreamSinks::ejected() const {
  if (eject_sink_ == nullptr) return {};
  const auto counts = eject_sink_->counts();
  return fmt::format(
      "{} shots fired, {} of them slowly, at most {:.1f} ms behind their time; {} too late, {} failed, {} "
      "refused",
      counts.fired, counts.slow, counts.worst_delay_ms, counts.late, counts.failed, counts.refused);
}

}  // namespace pila
