// What a source's name says.
#pragma once

#include <string>

#include "apps/capture/frame_source.h"

namespace pila {

enum class SourceKind { stills, video, camera, csi, address, pipeline };

struct SourceUri {
  SourceKind kind = SourceKind::stills;
  std::string place;  // path, device, number of the CSI sensor, URL, or GStreamer's description
};

// Throws UsageError for what is no source, FileError for a path where nothing is.
SourceUri parse_source(const std::string& uri);

// Throws UsageError for options that contradict each other, or that this kind of source does not have.
void check_source_options(SourceKind kind, const SourceOptions& options);

// The pipeline of GStreamer for a Jetson's CSI camera, which turns and flips the picture itself.
std::string csi_pipeline(const std::string& sensor, const SourceOptions& options);

}  // namespace pila
