#include "bench/baselines/cudnn_api.h"

#include <dlfcn.h>

#include <algorithm>
#include <utility>

namespace pila::bench {
namespace {

// Never closed: its threads may outlive every use.
void* open_cudnn_library() {
  void* library = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    throw UsageError(std::string("--against cudnn: ") + dlerror() +
                     "; LD_LIBRARY_PATH may name the folder of cuDNN 9");
  }
  return library;
}

template <class Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw UsageError(std::string("--against cudnn: ") + dlerror());
}

}  // namespace

CudnnApi::CudnnApi() {
  void* library = open_cudnn_library();
  find(library, "cudnnGetVersion", get_version);
  find(library, "cudnnGetErrorString", get_error_string);
  find(library, "cudnnGetLastErrorString", get_last_error_string);
  find(library, "cudnnCreate", create);
  find(library, "cudnnDestroy", destroy);
  find(library, "cudnnSetStream", set_stream);
  find(library, "cudnnBackendCreateDescriptor", create_descriptor);
  find(library, "cudnnBackendDestroyDescriptor", destroy_descriptor);
  find(library, "cudnnBackendSetAttribute", set_attribute);
  find(library, "cudnnBackendGetAttribute", get_attribute);
  find(library, "cudnnBackendFinalize", finalize);
  find(library, "cudnnBackendExecute", execute);
}

void CudnnApi::check(cudnnStatus_t status, const std::string& what) const {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char details[256] = "";
  get_last_error_string(details, sizeof details);
  throw CudnnError("[cuDNN] " + what + ": " + get_error_string(status) + (details[0] != '\0' ? ", " : "") +
                   details);
}

CudnnHandle::CudnnHandle(const CudnnApi& api, cudaStream_t stream) : api_(api) {
  api_.check(api_.create(&handle_), "cudnnCreate");
  api_.check(api_.set_stream(handle_, stream), "cudnnSetStream");
}

Descriptor::Descriptor(const CudnnApi& api, cudnnBackendDescriptorType_t type, std::string name)
    : api_(&api), name_(std::move(name)) {
  cudnnBackendDescriptor_t handle = nullptr;
  api.check(api.create_descriptor(type, &handle), name_);
  handle_ = std::shared_ptr<void>(handle, api.destroy_descriptor);
}

Descriptor& Descriptor::refer(cudnnBackendAttributeName_t attribute,
                              const std::vector<const Descriptor*>& others) {
  std::vector<cudnnBackendDescriptor_t> handles;
  for (const Descriptor* other : others) handles.push_back(other->handle());
  return set_values(attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, handles.size(), handles.data());
}

Descriptor& Descriptor::finalize() {
  api_->check(api_->finalize(handle()), name_);
  return *this;
}

void Descriptor::get(cudnnBackendAttributeName_t attribute, std::vector<Descriptor>& others) const {
  std::vector<cudnnBackendDescriptor_t> handles;
  for (const Descriptor& other : others) handles.push_back(other.handle());
  const std::size_t count =
      get_values(attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, handles.size(), handles.data());
  others.erase(others.begin() + static_cast<std::ptrdiff_t>(count), others.end());
}

Descriptor& Descriptor::set_values(cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                                   std::size_t count, const void* values) {
  api_->check(api_->set_attribute(handle(), attribute, type, static_cast<std::int64_t>(count), values),
              name_ + ", attribute " + std::to_string(attribute));
  return *this;
}

std::size_t Descriptor::get_values(cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                                   std::size_t most, void* values) const {
  std::int64_t count = 0;
  api_->check(api_->get_attribute(handle(), attribute, type, static_cast<std::int64_t>(most), &count, values),
              name_ + ", attribute " + std::to_string(attribute));
  const auto there = static_cast<std::size_t>(count);
  return most == 0 ? there : std::min(there, most);
}

}  // namespace pila::bench
