#include "apps/media/contact_sheet.h"

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "apps/media/lettering.h"
#include "apps/media/pen.h"
#include "engine/core/error.h"

namespace pila::media {
namespace {

constexpr double kFontScale = 0.4;
constexpr int kLineHeight = 15, kMargin = 6, kFrame = 4;

const cv::Scalar kBackground = {255, 255, 255}, kTextColor = {30, 30, 30};

int text_width(const std::string& text) {
  int baseline = 0;
  return cv::getTextSize(text, kFont, kFontScale, 1, &baseline).width;
}

std::vector<std::string> lines_of(const std::string& caption) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin <= caption.size();) {
    const std::size_t end = std::min(caption.find('\n', begin), caption.size());
    lines.push_back(caption.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

void draw_picture(const Image& image, cv::Mat& place) {
  const cv::Mat pixels(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                       const_cast<std::uint8_t*>(image.pixels.data()));
  const double scale =
      std::min(static_cast<double>(place.cols) / pixels.cols, static_cast<double>(place.rows) / pixels.rows);
  const cv::Size size(std::max(1, cvRound(pixels.cols * scale)), std::max(1, cvRound(pixels.rows * scale)));
  cv::Mat fitted;
  cv::resize(pixels, fitted, size, 0, 0, scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
  fitted.copyTo(place(
      cv::Rect((place.cols - size.width) / 2, (place.rows - size.height) / 2, size.width, size.height)));
}

}  // namespace

Image contact_sheet(std::span<const Tile> tiles, int columns, int tile_size) {
  if (tiles.empty() || columns < 1 || tile_size < 1) {
    throw UsageError("[contact sheet] tiles, columns and a tile size of at least 1 are expected, got " +
                     std::to_string(tiles.size()) + ", " + std::to_string(columns) + " and " +
                     std::to_string(tile_size));
  }
  std::size_t most_lines = 0;
  for (const auto& tile : tiles) most_lines = std::max(most_lines, lines_of(tile.caption).size());
  const auto count = static_cast<int>(tiles.size());
  const int across = std::min(columns, count), down = (count + across - 1) / across;
  const int cell_width = tile_size + 2 * kMargin;
  const int cell_height = tile_size + static_cast<int>(most_lines) * kLineHeight + 2 * kMargin;
  cv::Mat sheet(down * cell_height, across * cell_width, CV_8UC3, kBackground);
  for (int i = 0; i < count; ++i) {
    const Tile& tile = tiles[static_cast<std::size_t>(i)];
    const int left = i % across * cell_width + kMargin, top = i / across * cell_height + kMargin;
    cv::Mat place = sheet(cv::Rect(left, top, tile_size, tile_size));
    if (tile.image.width > 0 && tile.image.height > 0) draw_picture(tile.image, place);
    if (tile.frame) {
      const auto& [red, green, blue] = *tile.frame;
      cv::rectangle(place, cv::Rect(0, 0, tile_size, tile_size), cv::Scalar(red, green, blue), kFrame);
    }
    int baseline = top + tile_size;
    for (const auto& line : lines_of(tile.caption)) {
      baseline += kLineHeight;
      const auto fits = [&](const std::string& text) { return text_width(text) <= tile_size; };
      cv::putText(sheet, shortened(line, fits), {left, baseline - 3}, kFont, kFontScale, kTextColor, 1,
                  cv::LINE_AA);
    }
  }
  Image image{.width = sheet.cols, .height = sheet.rows, .pixels = {}, .warning = {}};
  image.pixels.assign(sheet.datastart, sheet.dataend);
  return image;
}

}  // namespace pila::media
