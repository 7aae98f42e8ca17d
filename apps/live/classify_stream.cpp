#include "apps/live/classify_stream.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

#include "apps/core/command.h"
#include "apps/core/output.h"
#include "apps/core/service.h"
#include "apps/core/stopwatch.h"
#include "apps/core/ticker.h"
#include "apps/core/verdict.h"
#include "apps/eject/trigger_signal.h"
#include "apps/items/dispatch.h"
#include "apps/live/console.h"
#include "apps/live/model_watcher.h"
#include "apps/live/stream_counts.h"
#include "apps/live/stream_sinks.h"
#include "engine/core/error.h"
#include "weights/md5.h"

namespace pila {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kMostForAFrame{10};
constexpr Clock::time_point kIdle = Clock::time_point::max() - kMostForAFrame;

double seconds_of(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

KnownModel load_known_model(const StreamOptions& options) {
  Classifier::Options network = options.network;
  network.batch = 1;  // a verdict is wanted as soon as a frame is there
  std::string hash = md5_of_file(options.model);
  return {std::make_unique<Classifier>(options.model, options.labels, network), std::move(hash)};
}

DecisionOptions decision_for(const StreamOptions& options, const std::vector<std::string>& classes,
                             std::int64_t first_number) {
  DecisionOptions decision = options.decision;
  decision.first_number = first_number;
  if (options.empty_class.empty()) return decision;
  const auto found = std::ranges::find(classes, options.empty_class);
  if (found == classes.end()) {
    throw UsageError(fmt::format("--empty-class: a class of {} is expected ({}), got '{}'",
                                 options.model.string(), fmt::join(classes, ", "), options.empty_class));
  }
  decision.empty_class = static_cast<std::size_t>(found - classes.begin());
  return decision;
}

Dispatch dispatch_for(const StreamOptions& options, const std::vector<std::string>& classes) {
  std::vector<BinRule> rules;
  for (const std::string& text : options.bins) rules.push_back(parse_bin_rule(text));
  return {std::move(rules), classes, options.decision.belt_mm_per_s};
}

void check(const StreamOptions& options, const FrameSource& source) {
  const bool by_signals = options.decision.mode == DecisionMode::trigger;
  if (by_signals && options.decision.trigger_mm == 0 && options.trigger.empty()) {
    throw UsageError("--mode trigger: --trigger-mm or --trigger is expected");
  }
  if (!by_signals && !options.trigger.empty()) throw UsageError("--trigger: --mode trigger is expected");
  if (options.ejectors.empty()) return;
  if (options.bins.empty()) throw UsageError("--eject: --bin is expected, to say what goes where");
  if (options.decision.belt_mm_per_s <= 0) {
    throw UsageError("--eject: --belt-speed is expected, to say when");
  }
  if (!source.live()) {
    throw UsageError(
        "--eject: frames by the clock are expected: those of a camera, or of a file with --pace");
  }
}

// What a model decides by: all of it changes when another one is taken up.
struct Deciding {
  KnownModel model;
  std::optional<Dispatch> dispatch;
};

class Stream {
 public:
  explicit Stream(const StreamOptions& options)
      : options_(options),
        console_("frames", !options.json.empty() && options.json != "-"),
        alarms_([this](const std::string& line) { alarm(line); }),
        source_(open_source()),
        statistics_(options.statistics.empty() ? nullptr : std::make_unique<Output>(options.statistics)) {
    check(options_, *source_);
    console_.expect(source_->total());
    console_.note(source_->describe());
    Deciding first = load();
    const std::string hash = first.model.hash;
    open_sinks();
    use(std::move(first));
    if (options_.explain_plan) console_.note(deciding_.model.classifier->explain_plan());
    if (options_.watch_model) {
      watcher_ = std::make_unique<ModelWatcher>(
          options_.model, hash, [this] { return load().model; }, alarms_);
    }
    if (!options_.trigger.empty()) listen();
  }
  ~Stream() { page_ = nullptr; }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void run() {
    notify_service("READY=1");
    try {
      take_all();
    } catch (...) {
      close_sinks();
      throw;
    }
    sinks_->finish();
    finish();
  }

 private:
  void take_all() {
    {
      const Ticker ticker(std::chrono::milliseconds(100), [this] { tick(); });
      while (const auto frame = source_->next()) {
        busy_since_ = Clock::now();
        take(*frame);
        busy_since_ = kIdle;
      }
    }
    notify_service("STOPPING=1");
    if (signal_) signal_->stop();
    for (Item& item : decider_->finish()) tell(std::move(item));
  }

  // What was seen before an error is kept.
  void close_sinks() noexcept {
    try {
      sinks_->finish();
    } catch (const std::exception& error) {
      console_.note(error.what());
    }
  }

  std::unique_ptr<FrameSource> open_source() {
    SourceOptions source = options_.source;
    source.note = [this](const std::string& line) { console_.note(line); };
    return open_frame_source(source);
  }

  // A model that the rules for bins fit; throws what is wrong with it.
  Deciding load() const {
    KnownModel model = load_known_model(options_);
    const auto& classes = model.classifier->classes();
    decision_for(options_, classes, 1);
    Dispatch dispatch = dispatch_for(options_, classes);
    return {std::move(model), std::move(dispatch)};
  }

  void open_sinks() {
    const StreamSinks::Stream stream{.name = options_.source.uri,
                                     .fps = source_->fps(),
                                     .live = source_->live(),
                                     .stop = [this] { source_->stop(); },
                                     .statistics = [this] { return counts_.to_json(source_->counts()); },
                                     .model = [this] { return model_description(); }};
    sinks_ = std::make_unique<StreamSinks>(options_, stream, alarms_);
    page_ = sinks_.get();
    if (const std::string page = sinks_->page(); !page.empty()) console_.note(page);
  }

  void use(Deciding deciding) {
    const Classifier& classifier = *deciding.model.classifier;
    console_.note(classifier.describe());
    for (const auto& warning : classifier.warnings()) console_.note("warning: " + warning);
    sinks_->use_model(classifier.classes(), deciding.model.hash);
    const bool same =
        deciding_.model.classifier && deciding_.model.classifier->classes() == classifier.classes();
    {
      const std::lock_guard lock(mutex_);
      model_description_ = classifier.describe();
    }
    deciding_ = std::move(deciding);
    // With other classes, what was averaged so far means nothing.
    if (!same) {
      decider_ = make_decider(decision_for(options_, classifier.classes(), items_ + 1),
                              [this](std::span<const float> probabilities, double familiarity) {
                                return deciding_.model.classifier->recognises(probabilities, familiarity);
                              });
    }
  }

  std::string model_description() {
    const std::lock_guard lock(mutex_);
    return model_description_;
  }

  void listen() {
    signal_ = open_trigger(options_.trigger);
    signal_->start([this](Clock::time_point when) {
      const std::lock_guard lock(mutex_);
      signals_.push_back(when);
    });
  }

  void take(const Frame& frame) {
    const auto begin = source_->live() ? frame.arrived : Clock::now();
    origin_ = frame.arrived -
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(frame.seconds));
    latest_ = frame.seconds;
    if (watcher_ && !decider_->presence().something) take_up_model();
    StageTimes times{.decode = frame.decode_ms};
    Stopwatch watch;
    Classifier& classifier = *deciding_.model.classifier;
    const std::vector<float> pixels = classifier.preprocess(frame.image);
    times.preprocess = watch.lap_ms();
    classifier.submit(pixels);
    const Classifier::Answer answer = std::move(classifier.collect().answers.front());
    times.network = watch.lap_ms();
    pass_on_signals();
    std::vector<Item> items = decider_->take(frame, answer.sighting);
    times.decide = watch.lap_ms();
    times.latency = seconds_of(Clock::now() - begin) * 1e3;

    sinks_->frame({.frame = frame,
                   .classes = classifier.classes(),
                   .probabilities = answer.probabilities,
                   .recognised = answer.recognised,
                   .presence = decider_->presence(),
                   .times = times});
    for (Item& item : items) tell(std::move(item));
    counts_.frame(times, watch.lap_ms());
    console_.advance();
  }

  void take_up_model() {
    if (KnownModel model = watcher_->take(); model.classifier) {
      Dispatch dispatch = dispatch_for(options_, model.classifier->classes());
      console_.note("a new model is taken up");
      use({std::move(model), std::move(dispatch)});
    }
  }

  void pass_on_signals() {
    std::vector<Clock::time_point> signals;
    {
      const std::lock_guard lock(mutex_);
      signals.swap(signals_);
    }
    for (const auto when : signals) decider_->trigger(seconds_of(when - origin_));
  }

  void tell(Item item) {
    const auto& classes = deciding_.model.classifier->classes();
    if (item.probabilities.empty()) {  // not one frame was good enough to count
      item.probabilities.assign(classes.size(), 1 / static_cast<float>(classes.size()));
    }
    const double now = source_->live() ? seconds_of(Clock::now() - origin_) : latest_;
    Dispatch::Shot shot = (*deciding_.dispatch)(item, now);
    if (shot.missed) {
      alarms_.tell(fmt::format("item {}: decided too late for {}, which it reached at {:.2f} s", item.number,
                               shot.bin, *shot.fire_at));
    }
    items_ = std::max(items_, item.number);
    counts_.item(shot.label, shot.missed);
    sinks_->item({.item = std::move(item),
                  .classes = classes,
                  .label = std::move(shot.label),
                  .bin = std::move(shot.bin),
                  .fire_at = shot.fire_at,
                  .missed = shot.missed});
  }

  // On a thread of its own, ten times a second.
  void tick() {
    if (interrupted()) source_->stop();
    // Waiting for a camera is life, too; a frame that takes so long is not.
    if (ticks_ % 10 == 0 && Clock::now() < busy_since_.load() + kMostForAFrame) notify_service("WATCHDOG=1");
    if (ticks_ % 10 == 0 && watcher_) watcher_->check();
    if (signal_ && !signal_->trouble().empty()) alarms_.raise(signal_->describe(), signal_->trouble());
    const auto pause = static_cast<std::int64_t>(options_.heartbeat_s * 10);
    if (++ticks_; source_->live() && pause > 0 && ticks_ % pause == 0) {
      console_.note(counts_.heartbeat(source_->counts()));
    }
  }

  void alarm(const std::string& line) {
    console_.note("alarm: " + line);
    if (StreamSinks* sinks = page_; sinks != nullptr) sinks->alarm(line);
  }

  void finish() {
    const auto counts = source_->counts();
    if (counts.frames == 0) throw FileError(options_.source.uri + ": not one frame could be read");
    if (statistics_) {
      statistics_->write_line(counts_.to_json(counts));
      statistics_->finish();
    }
    console_.note(counts_.summary(counts));
    if (const std::string ejected = sinks_->ejected(); !ejected.empty()) console_.note(ejected);
  }

  const StreamOptions& options_;
  Console console_;
  std::atomic<StreamSinks*> page_ = nullptr;  // who else is told of alarms
  Alarms alarms_;
  StreamCounts counts_;
  std::unique_ptr<FrameSource> source_;
  std::unique_ptr<Output> statistics_;
  Deciding deciding_;
  std::unique_ptr<Decider> decider_;
  std::mutex mutex_;                        // of the next two, which other threads use, too
  std::vector<Clock::time_point> signals_;  // that were not passed on yet
  std::string model_description_;
  std::unique_ptr<StreamSinks> sinks_;
  std::unique_ptr<ModelWatcher> watcher_;
  std::unique_ptr<TriggerSignal> signal_;

  Clock::time_point origin_;                           // when the stream was at 0 seconds
  std::atomic<Clock::time_point> busy_since_ = kIdle;  // with a frame
  double latest_ = 0;                                  // the latest frame's second
  std::int64_t items_ = 0;                             // the latest item's number
  std::int64_t ticks_ = 0;
};

}  // namespace

int classify_stream(const StreamOptions& options) {
  Stream(options).run();
  return kDone;
}

}  // namespace pila
