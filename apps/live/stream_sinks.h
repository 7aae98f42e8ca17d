// All the places that a stream's verdicts go to, as the options say.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/core/alarms.h"
#include "apps/live/eject_sink.h"
#include "apps/live/explainer.h"
#include "apps/live/store_sink.h"
#include "apps/live/stream_options.h"
#include "apps/web/web_server.h"

namespace pila {

class StreamSinks : public Sink {
 public:
  struct Stream {
    std::string name;
    double fps = 0;
    bool live = false;
    std::function<void()> stop;               // when a person closes the window
    std::function<std::string()> statistics;  // JSON
    std::function<std::string()> model;       // for people, in one line
  };
  // Throws what the sinks throw that cannot be opened.
  StreamSinks(const StreamOptions& options, const Stream& stream, Alarms& alarms);

  // The model that decides from here on.
  void use_model(const std::vector<std::string>& classes, const std::string& hash);
  void alarm(const std::string& line);

  void frame(const FrameReport& report) override;
  void item(const ItemReport& report) override;
  void finish() override;
  // Both for people, in one line; empty where there is nothing to tell.
  std::string page() const;
  std::string ejected() const;

 private:
  void open_page(const StreamOptions& options, const Stream& stream);

  Explainer explainer_;
  std::unique_ptr<Store> store_;
  std::vector<std::unique_ptr<Sink>> sinks_;  // all; three of them have names
  StoreSink* store_sink_ = nullptr;
  EjectSink* eject_sink_ = nullptr;
  WebServer* page_ = nullptr;
  std::string host_;  // of the page
  const std::filesystem::path model_;
};

}  // namespace pila
