// cuDNN 9's backend functions, loaded when they are needed, and its descriptors.
#pragma once

#include <cudnn_graph.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/error.h"

namespace pila::bench {

// What cuDNN refuses; the message names the call's object.
class CudnnError : public Error {
 public:
  using Error::Error;
};

struct CudnnApi {
  CudnnApi();  // throws UsageError where there is no cuDNN to load

  decltype(&::cudnnGetVersion) get_version;
  decltype(&::cudnnGetErrorString) get_error_string;
  decltype(&::cudnnGetLastErrorString) get_last_error_string;
  decltype(&::cudnnCreate) create;
  decltype(&::cudnnDestroy) destroy;
  decltype(&::cudnnSetStream) set_stream;
  decltype(&::cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&::cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&::cudnnBackendSetAttribute) set_attribute;
  decltype(&::cudnnBackendGetAttribute) get_attribute;
  decltype(&::cudnnBackendFinalize) finalize;
  decltype(&::cudnnBackendExecute) execute;

  // Throws CudnnError.
  void check(cudnnStatus_t status, const std::string& what) const;
};

// A connection to the current device, on a stream.
class CudnnHandle {
 public:
  CudnnHandle(const CudnnApi& api, cudaStream_t stream);
  ~CudnnHandle() { api_.destroy(handle_); }
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;

  const CudnnApi& api() const { return api_; }
  cudnnHandle_t get() const { return handle_; }

 private:
  const CudnnApi& api_;
  cudnnHandle_t handle_ = nullptr;
};

// What cuDNN calls the type of an attribute's values.
template <class T>
inline constexpr cudnnBackendAttributeType_t attribute_type = T::unsupported_attribute_type;
template <>
inline constexpr auto attribute_type<std::int64_t> = CUDNN_TYPE_INT64;
template <>
inline constexpr auto attribute_type<float> = CUDNN_TYPE_FLOAT;
template <>
inline constexpr auto attribute_type<double> = CUDNN_TYPE_DOUBLE;
template <>
inline constexpr auto attribute_type<bool> = CUDNN_TYPE_BOOLEAN;
template <>
inline constexpr auto attribute_type<void*> = CUDNN_TYPE_VOID_PTR;
template <>
inline constexpr auto attribute_type<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
inline constexpr auto attribute_type<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
inline constexpr auto attribute_type<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
inline constexpr auto attribute_type<cudnnPointwiseMode_t> = CUDNN_TYPE_POINTWISE_MODE;
template <>
inline constexpr auto attribute_type<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
inline constexpr auto attribute_type<cudnnBackendNumericalNote_t> = CUDNN_TYPE_NUMERICAL_NOTE;

// Attributes are set, then finalize() checks them all; errors name the descriptor. Those that it refers to
// must live as long.
class Descriptor {
 public:
  Descriptor(const CudnnApi& api, cudnnBackendDescriptorType_t type, std::string name);

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t attribute, const T& value) {
    return set_values(attribute, attribute_type<T>, 1, &value);
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t attribute, const std::vector<T>& values) {
    return set_values(attribute, attribute_type<T>, values.size(), values.data());
  }
  Descriptor& set(cudnnBackendAttributeName_t attribute, const Descriptor& other) {
    return refer(attribute, {&other});
  }
  Descriptor& refer(cudnnBackendAttributeName_t attribute, const std::vector<const Descriptor*>& others);
  Descriptor& finalize();

  // All values; at most `most`.
  template <class T>
  std::vector<T> get(cudnnBackendAttributeName_t attribute, std::size_t most) const {
    std::vector<T> values(most);
    values.resize(get_values(attribute, attribute_type<T>, most, values.data()));
    return values;
  }
  // How many descriptors the attribute has.
  std::size_t count(cudnnBackendAttributeName_t attribute) const {
    return get_values(attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  }
  // Fills descriptors of the right kind, and drops those that there are too many of.
  void get(cudnnBackendAttributeName_t attribute, std::vector<Descriptor>& others) const;

  cudnnBackendDescriptor_t handle() const { return handle_.get(); }
  const CudnnApi& api() const { return *api_; }

 private:
  Descriptor& set_values(cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                         std::size_t count, const void* values);
  std::size_t get_values(cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                         std::size_t most, void* values) const;

  const CudnnApi* api_;
  std::string name_;
  std::shared_ptr<void> handle_;
};

}  // namespace pila::bench
