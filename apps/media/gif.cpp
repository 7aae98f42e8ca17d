#include "apps/media/gif.h"

#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "engine/core/error.h"

namespace pila::media {
namespace {

int read_bytes(GifFileType* gif, GifByteType* to, int count) {
  Bytes& rest = *static_cast<Bytes*>(gif->UserData);
  const std::size_t size = std::min(rest.size(), static_cast<std::size_t>(std::max(count, 0)));
  std::memcpy(to, rest.data(), size);
  rest = rest.subspan(size);
  return static_cast<int>(size);
}

struct CloseGif {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

void check(bool good) {
  if (!good) throw FileError("the file is damaged or cut off");
}

// Passes over extensions up to the first picture; returns its transparent colour, or -1.
int find_picture(GifFileType* gif) {
  int transparent = NO_TRANSPARENT_COLOR;
  for (;;) {
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    check(DGifGetRecordType(gif, &record) == GIF_OK);
    if (record == IMAGE_DESC_RECORD_TYPE) return transparent;
    check(record == EXTENSION_RECORD_TYPE);
    int code = 0;
    GifByteType* block = nullptr;
    check(DGifGetExtension(gif, &code, &block) == GIF_OK);
    while (block != nullptr) {  // a length byte, then the data
      GraphicsControlBlock control;
      if (code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
        transparent = control.TransparentColor;
      }
      check(DGifGetExtensionNext(gif, &block) == GIF_OK);
    }
  }
}

}  // namespace

Image decode_gif(Bytes bytes, std::int64_t max_pixels) {
  const std::unique_ptr<GifFileType, CloseGif> gif(DGifOpen(&bytes, read_bytes, nullptr));
  check(gif != nullptr);
  const int transparent = find_picture(gif.get());
  check(DGifGetImageDesc(gif.get()) == GIF_OK);
  const GifImageDesc& picture = gif->Image;
  const ColorMapObject* colors = picture.ColorMap != nullptr ? picture.ColorMap : gif->SColorMap;
  if (colors == nullptr) throw FileError("it has no palette");
  if (picture.Width <= 0 || picture.Height <= 0 || picture.Width > max_pixels / picture.Height) {
    throw FileError("its first picture has a size of " + std::to_string(picture.Width) + " x " +
                    std::to_string(picture.Height));
  }

  Image image{gif->SWidth, gif->SHeight, {}, {}};
  image.pixels.assign(static_cast<std::size_t>(image.width * image.height * 3), 255);
  std::vector<GifPixelType> line(static_cast<std::size_t>(picture.Width));
  const auto draw = [&](std::int64_t y) {
    check(DGifGetLine(gif.get(), line.data(), picture.Width) == GIF_OK);
    if (y >= image.height || picture.Left >= image.width) return;
    const std::int64_t visible = std::min<std::int64_t>(picture.Width, image.width - picture.Left);
    std::uint8_t* to = image.pixels.data() + (y * image.width + picture.Left) * 3;
    for (std::int64_t x = 0; x < visible; ++x, to += 3) {
      const int index = line[static_cast<std::size_t>(x)];
      if (index == transparent || index >= colors->ColorCount) continue;
      const GifColorType& color = colors->Colors[index];
      to[0] = color.Red;
      to[1] = color.Green;
      to[2] = color.Blue;
    }
  };
  if (picture.Interlace) {
    constexpr int kStarts[] = {0, 4, 2, 1}, kSteps[] = {8, 8, 4, 2};
    for (int pass = 0; pass < 4; ++pass) {
      for (int y = kStarts[pass]; y < picture.Height; y += kSteps[pass]) draw(picture.Top + y);
    }
  } else {
    for (int y = 0; y < picture.Height; ++y) draw(picture.Top + y);
  }
  return image;
}

}  // namespace pila::media
