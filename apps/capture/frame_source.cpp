#include "apps/capture/frame_source.h"

#include <algorithm>
#include <utility>

#include "apps/capture/geometry.h"
#include "apps/capture/readers.h"
#include "apps/capture/source_uri.h"
#include "apps/capture/stream_source.h"

namespace pila {
namespace {

using media::VideoReader;

StreamPlan plan_for(const SourceUri& source, const SourceOptions& options) {
  const std::string& place = source.place;
  const auto video = [&](StreamKind kind, std::function<VideoReader()> open) {
    StreamPlan plan;
    plan.kind = kind;
    plan.open = video_reader(options.uri, std::move(open));
    return plan;
  };
  switch (source.kind) {
    case SourceKind::video:
      return video(StreamKind::recording, [place] { return VideoReader(place); });
    case SourceKind::camera: {
      const media::CameraSettings settings{options.width,    options.height, options.fps,
                                           options.exposure, options.focus,  options.white_balance};
      return video(StreamKind::live, [=] { return VideoReader::camera(place, settings); });
    }
    case SourceKind::csi:
      return video(StreamKind::live,
                   [pipeline = csi_pipeline(place, options)] { return VideoReader::pipeline(pipeline); });
    case SourceKind::address:
      return video(StreamKind::address, [place] { return VideoReader::address(place); });
    case SourceKind::pipeline:
      return video(StreamKind::address, [place] { return VideoReader::pipeline(place); });
    case SourceKind::stills:
      break;
  }
  StreamPlan plan;
  plan.kind = StreamKind::stills;
  plan.open = stills_reader(place);
  return plan;
}

}  // namespace

std::unique_ptr<FrameSource> open_frame_source(const SourceOptions& options) {
  const SourceUri source = parse_source(options.uri);
  check_source_options(source.kind, options);
  StreamPlan plan = plan_for(source, options);
  plan.name = options.uri;
  plan.note = options.note;
  plan.pace = options.pace;
  plan.loop = options.loop;
  plan.reading = StreamPlan::Seconds(options.timeout_s);
  plan.opening = std::max(plan.opening, plan.reading);
  Geometry geometry{options.rotate, options.flip_x, options.flip_y, options.region};
  if (source.kind == SourceKind::csi) geometry = {.region = options.region};
  plan.adjust = [geometry](media::Image& image) { apply(geometry, image); };
  return start_stream(std::move(plan));
}

}  // namespace pila
