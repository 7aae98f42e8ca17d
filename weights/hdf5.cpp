#include "weights/hdf5.h"

// The calls of HDF5 1.10, whatever the version at hand.
#define H5_USE_110_API
#include <hdf5.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

constexpr std::size_t kMostObjects = 100'000;
constexpr int kDeepest = 64;
constexpr int kHighestRank = 8;
constexpr std::uint64_t kMostTextBytes = 64 << 20;
constexpr std::uint64_t kMostDataBytes = std::uint64_t{2} << 30;
constexpr std::uint64_t kMostNames = 1'000'000;
// Attributes live in an object header, whose messages are 64 KiB at most.
constexpr std::size_t kMostAttributeBytes = 64'512;

// An HDF5 identifier and the function that gives it back.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t), const std::string& what) : id_(id), close_(close) {
    if (id_ < 0) {
      throw FileError("damaged: cannot open " + what);
    }
  }
  ~Handle() { close_(id_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

void check(herr_t status, const std::string& what) {
  if (status < 0) {
    throw FileError("damaged: cannot read " + what);
  }
}

void start_library() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);  // a file must not make the library load code
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "/" + name;
}

struct Link {
  std::string name;
  bool hard;
};

std::vector<Link> links_of(hid_t group, const std::string& what) {
  std::vector<Link> links;
  const H5L_iterate_t add = [](hid_t, const char* name, const H5L_info_t* info, void* list) -> herr_t {
    auto& all = *static_cast<std::vector<Link>*>(list);
    if (all.size() >= kMostObjects) {
      return -1;
    }
    all.push_back({name, info->type == H5L_TYPE_HARD});
    return 0;
  };
  hsize_t position = 0;
  check(H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, add, &links), what);
  return links;
}

std::vector<std::string> attribute_names(hid_t object, const std::string& what) {
  std::vector<std::string> names;
  const H5A_operator2_t add = [](hid_t, const char* name, const H5A_info_t*, void* list) -> herr_t {
    auto& all = *static_cast<std::vector<std::string>*>(list);
    if (all.size() >= kMostObjects) {
      return -1;
    }
    all.emplace_back(name);
    return 0;
  };
  hsize_t position = 0;
  check(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &position, add, &names), what);
  return names;
}

std::string type_text(hid_t type) {
  const std::string bits = std::to_string(H5Tget_size(type) * 8) + "-bit ";
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return bits + "integers";
    case H5T_FLOAT:
      return bits + "floating-point numbers";
    case H5T_STRING:
      return "text";
    default:
      return bits + "values of another kind";
  }
}

class Parser {
 public:
  Parser(std::uint64_t file_bytes, TreeEncoder& tree)
      : file_bytes_(file_bytes),
        data_left_(std::min(kMostDataBytes, 16 * file_bytes + (64 << 20))),
        tree_(tree) {}

  void visit_group(hid_t group, const std::string& path, int depth) {
    const std::string what = path.empty() ? "the root group" : "group " + in_quotes(path);
    if (depth > kDeepest) {
      throw FileError("damaged: groups are nested more than " + std::to_string(kDeepest) + " deep");
    }
    H5O_info_t info;
    check(H5Oget_info(group, &info), what);
    if (!visited_.insert(info.addr).second) {
      throw FileError("damaged: " + what + " occurs twice");
    }
    tree_.group(path);
    for (const std::string& name : attribute_names(group, what)) {
      read_attribute(group, path, name);
    }
    for (const Link& link : links_of(group, what)) {
      if (path.empty() && (link.name == "optimizer" || link.name == "optimizer_weights")) {
        continue;
      }
      visit_object(group, joined(path, link.name), link, depth);
    }
  }

 private:
  void visit_object(hid_t parent, const std::string& path, const Link& link, int depth) {
    if (++objects_ > kMostObjects) {
      throw FileError("holds more than " + std::to_string(kMostObjects) + " groups and arrays");
    }
    if (!link.hard) {
      throw FileError("holds a link " + in_quotes(path) + " to another place, which is not followed");
    }
    const Handle object(H5Oopen(parent, link.name.c_str(), H5P_DEFAULT), H5Oclose, in_quotes(path));
    switch (H5Iget_type(object)) {
      case H5I_GROUP:
        visit_group(object, path, depth + 1);
        break;
      case H5I_DATASET:
        read_array(object, path);
        break;
      default:
        break;
    }
  }

  void read_attribute(hid_t group, const std::string& path, const std::string& name) {
    const std::string what = "attribute " + in_quotes(joined(path, name));
    const Handle attribute(H5Aopen(group, name.c_str(), H5P_DEFAULT), H5Aclose, what);
    const Handle space(H5Aget_space(attribute), H5Sclose, what);
    const Handle type(H5Aget_type(attribute), H5Tclose, what);
    TextAttribute result;
    result.scalar = H5Sget_simple_extent_type(space) == H5S_SCALAR;
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    if (count < 0) {
      throw FileError("damaged: cannot read " + what);
    }
    if (count > 0) {
      if (H5Tget_class(type) != H5T_STRING) {
        return;
      }
      const auto texts = static_cast<std::uint64_t>(count);
      if (texts > kMostNames) {
        throw FileError(what + " holds more than " + std::to_string(kMostNames) + " texts");
      }
      result.values = H5Tis_variable_str(type) > 0 ? read_variable_texts(attribute, type, space, texts, what)
                                                   : read_fixed_texts(attribute, type, texts, what);
    }
    tree_.attribute(path, name, result);
  }

  void count_text(std::uint64_t bytes, const std::string& what) {
    if (bytes > text_left_) {
      throw FileError(what + " holds too much text (more than " + std::to_string(kMostTextBytes >> 20) +
                      " MiB)");
    }
    text_left_ -= bytes;
  }

  std::vector<std::string> read_fixed_texts(hid_t attribute, hid_t type, std::uint64_t count,
                                            const std::string& what) {
    const std::size_t size = H5Tget_size(type);
    if (size == 0 || size > kMostTextBytes) {
      throw FileError("damaged: cannot read " + what);
    }
    count_text(count * size, what);
    std::vector<char> bytes(count * size);
    check(H5Aread(attribute, type, bytes.data()), what);
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < count; ++i) {
      const char* begin = bytes.data() + i * size;
      std::string text(begin, strnlen(begin, size));
      if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) {
        text.erase(text.find_last_not_of(' ') + 1);
      }
      texts.push_back(std::move(text));
    }
    return texts;
  }

  std::vector<std::string> read_variable_texts(hid_t attribute, hid_t type, hid_t space, std::uint64_t count,
                                               const std::string& what) {
    std::vector<char*> pointers(count, nullptr);
    check(H5Aread(attribute, type, pointers.data()), what);
    std::vector<std::string> texts;
    for (const char* pointer : pointers) {
      texts.emplace_back(pointer == nullptr ? "" : pointer);
      count_text(texts.back().size(), what);
    }
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
    return texts;
  }

  void read_array(hid_t dataset, const std::string& path) {
    const std::string what = "array " + in_quotes(path);
    const Handle space(H5Dget_space(dataset), H5Sclose, what);
    const Handle type(H5Dget_type(dataset), H5Tclose, what);
    Array array;
    const int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > kHighestRank) {
      throw FileError(what + " has rank " + std::to_string(rank) + ", expected at most " +
                      std::to_string(kHighestRank));
    }
    hsize_t extents[H5S_MAX_RANK] = {};
    check(H5Sget_simple_extent_dims(space, extents, nullptr), what);
    const std::size_t size = H5Tget_size(type);
    std::uint64_t bytes = std::max<std::size_t>(size, 1);
    for (int axis = 0; axis < rank; ++axis) {
      if (extents[axis] > static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max()) ||
          __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extents[axis]), &bytes)) {
        throw FileError("damaged: " + what + " has an impossible shape");
      }
      array.shape.push_back(static_cast<std::int64_t>(extents[axis]));
    }
    if (H5Sget_simple_extent_type(space) == H5S_NULL) {
      array.shape = {0};
      bytes = 0;
    }
    if (H5Tget_class(type) != H5T_FLOAT || (size != 2 && size != 4 && size != 8)) {
      array.other_type = type_text(type);
      tree_.array(path, array);
      return;
    }
    check_storage(dataset, bytes, array, what);
    const std::size_t count = bytes / size;
    if (size == 8) {
      array.values = read_values<double>(dataset, H5T_NATIVE_DOUBLE, count, what);
    } else {
      array.values = read_values<float>(dataset, H5T_NATIVE_FLOAT, count, what);
    }
    tree_.array(path, array);
  }

  template <class T>
  static std::vector<T> read_values(hid_t dataset, hid_t memory_type, std::size_t count,
                                    const std::string& what) {
    std::vector<T> values(count);
    if (count > 0) {
      check(H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), what);
    }
    return values;
  }

  // Before memory is taken: whether the file can hold what the array's shape promises.
  void check_storage(hid_t dataset, std::uint64_t bytes, const Array& array, const std::string& what) {
    const Handle layout(H5Dget_create_plist(dataset), H5Pclose, what);
    if (H5Pget_external_count(layout) > 0 || H5Pget_layout(layout) == H5D_VIRTUAL) {
      throw FileError(what + " is stored in another file, which is not opened");
    }
    const std::uint64_t stored = H5Dget_storage_size(dataset);
    const bool compressible = H5Pget_layout(layout) == H5D_CHUNKED;
    const std::uint64_t fullest = compressible ? data_left_ : file_bytes_;
    if (bytes > fullest || bytes > data_left_ || (!compressible && stored < bytes) ||
        (stored == 0 && bytes > 0)) {
      throw FileError("damaged: " + what + " of shape " + shape_text(array.shape) + " needs " +
                      std::to_string(bytes) + " bytes, and the file has " + std::to_string(file_bytes_) +
                      " with " + std::to_string(stored) + " for it");
    }
    data_left_ -= bytes;
  }

  std::uint64_t file_bytes_, data_left_;
  std::uint64_t text_left_ = kMostTextBytes;
  std::size_t objects_ = 0;
  std::set<haddr_t> visited_;
  TreeEncoder& tree_;
};

void write_attribute(hid_t group, const std::string& name, const TextAttribute& attribute) {
  const std::string what = "attribute " + in_quotes(name);
  if (attribute.scalar) {  // of variable length: such text may be longer than an attribute
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, what);
    check(H5Tset_size(type, H5T_VARIABLE), what);
    check(H5Tset_cset(type, H5T_CSET_UTF8), what);
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose, what);
    const Handle target(H5Acreate2(group, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                        what);
    const char* text = attribute.values.at(0).c_str();
    check(H5Awrite(target, type, &text), what);
    return;
  }
  std::size_t longest = 1;
  for (const std::string& value : attribute.values) {
    longest = std::max(longest, value.size());
  }
  const hsize_t count = attribute.values.size();
  if (count * longest > kMostAttributeBytes) {
    throw FileError(what + " does not fit into an HDF5 attribute: " + std::to_string(count * longest) +
                    " bytes");
  }
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, what);
  // Keras itself writes an empty list as floating-point.
  const Handle type(H5Tcopy(count == 0 ? H5T_NATIVE_DOUBLE : H5T_C_S1), H5Tclose, what);
  std::vector<char> bytes(count * longest, '\0');
  if (count > 0) {
    check(H5Tset_size(type, longest), what);
    check(H5Tset_strpad(type, H5T_STR_NULLPAD), what);
    for (std::size_t i = 0; i < count; ++i) {
      std::ranges::copy(attribute.values[i], bytes.data() + i * longest);
    }
  }
  const Handle target(H5Acreate2(group, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, what);
  if (count > 0) {
    check(H5Awrite(target, type, bytes.data()), what);
  }
}

// How links to arrays and the arrays themselves are made.
struct WriteProperties {
  hid_t links, data;
};

void write_array(hid_t file, const std::string& path, const Array& array, const WriteProperties& properties) {
  const std::string what = "array " + in_quotes(path);
  const std::vector<hsize_t> extents(array.shape.begin(), array.shape.end());
  const Handle space(extents.empty()
                         ? H5Screate(H5S_SCALAR)
                         : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                     H5Sclose, what);
  const bool is_double = std::holds_alternative<std::vector<double>>(array.values);
  const Handle dataset(H5Dcreate2(file, path.c_str(), is_double ? H5T_IEEE_F64LE : H5T_IEEE_F32LE, space,
                                  properties.links, properties.data, H5P_DEFAULT),
                       H5Dclose, what);
  std::visit(
      [&](const auto& values) {
        if (!values.empty()) {
          check(H5Dwrite(dataset, is_double ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL,
                         H5P_DEFAULT, values.data()),
                what);
        }
      },
      array.values);
}

void parse(const std::string& path, hid_t access, std::uint64_t bytes, TreeEncoder& tree) {
  const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose, "it as HDF5");
  const Handle root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose, "the root group");
  Parser(bytes, tree).visit_group(root, "", 0);
}

// Properties of a file that lives in memory.
void set_in_memory(hid_t access) {
  constexpr std::size_t kGrowth = 1 << 20;
  check(H5Pset_fapl_core(access, kGrowth, false), "the HDF5 library's memory");
}

}  // namespace

void parse_hdf5(int descriptor, std::uint64_t bytes, TreeEncoder& tree) {
  start_library();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "the HDF5 library");
  H5Pset_file_locking(access, false, true);  // read-only and network file systems have no locks
  parse("/proc/self/fd/" + std::to_string(descriptor), access, bytes, tree);
}

void parse_hdf5(std::span<const std::byte> image, TreeEncoder& tree) {
  start_library();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "the HDF5 library");
  set_in_memory(access);
  // The library copies the bytes; its interface has forgotten the const.
  check(H5Pset_file_image(access, const_cast<std::byte*>(image.data()), image.size()), "it into memory");
  parse("in memory", access, image.size(), tree);
}

std::vector<std::byte> format_hdf5(const Hdf5Tree& tree) {
  start_library();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "the HDF5 library");
  set_in_memory(access);
  const Handle file(H5Fcreate("in memory", H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose, "a new HDF5 file");
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "the HDF5 library");
  check(H5Pset_create_intermediate_group(links, 1), "the HDF5 library");
  const Handle data(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "the HDF5 library");
  check(H5Pset_obj_track_times(data, false), "the HDF5 library");  // equal trees are equal bytes
  for (const auto& [path, attributes] : tree.groups) {
    const std::string name = "/" + path;
    const bool exists = path.empty() || H5Lexists(file, name.c_str(), H5P_DEFAULT) > 0;
    const Handle group(exists ? H5Gopen2(file, name.c_str(), H5P_DEFAULT)
                              : H5Gcreate2(file, name.c_str(), links, H5P_DEFAULT, H5P_DEFAULT),
                       H5Gclose, "group " + in_quotes(path));
    for (const auto& [attribute_name, attribute] : attributes) {
      write_attribute(group, attribute_name, attribute);
    }
  }
  for (const auto& [path, array] : tree.arrays) {
    write_array(file, "/" + path, array, {links, data});
  }
  check(H5Fflush(file, H5F_SCOPE_GLOBAL), "the new HDF5 file");
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);
  std::vector<std::byte> image(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (size <= 0 || H5Fget_file_image(file, image.data(), image.size()) != size) {
    throw FileError("the HDF5 library gave no file");
  }
  return image;
}

}  // namespace pila
