// What libnccl.so.2 is to tests: its ranks are threads of one process, the device's memory is the host's, and
// what a call queues is done when it returns. What NCCL would wait for without end is an error here.
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace {

// ncclResult_t.
enum Result : int { kSuccess = 0, kInternalError = 3, kInvalidArgument = 4, kInvalidUsage = 5 };
constexpr int kFloat32 = 7;

struct UniqueId {
  char bytes[128];
};

// What is on its way between the ranks that have one id.
class World {
 public:
  void send(int from, int to, std::vector<float> values) {
    const std::lock_guard lock(mutex_);
    sent_[{from, to}].push_back(std::move(values));
    changed_.notify_all();
  }

  Result receive(int from, int to, float* values, std::size_t count) {
    std::unique_lock lock(mutex_);
    auto& waiting = sent_[{from, to}];
    if (!changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !waiting.empty(); })) {
      return kInternalError;
    }
    const std::vector<float> arrived = std::move(waiting.front());
    waiting.pop_front();
    if (arrived.size() != count) return kInvalidUsage;
    std::memcpy(values, arrived.data(), count * sizeof(float));
    return kSuccess;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<int, int>, std::deque<std::vector<float>>> sent_;  // by sender and receiver
};

struct Comm {
  std::shared_ptr<World> world;
  int rank, size;
};

struct Transfer {
  Comm* comm;
  int other;
  const float* from;  // of a send
  float* to;          // of a receive
  std::size_t count;
};

std::mutex worlds_mutex;
std::map<int, std::weak_ptr<World>> worlds;  // by what their ids hold
int ids = 0;

thread_local bool in_group = false;
thread_local std::vector<Transfer> group;

Result queue(const Transfer& transfer, int type) {
  if (!in_group) return kInvalidUsage;  // a send would wait for a receive that comes later
  if (type != kFloat32 || transfer.other < 0 || transfer.other >= transfer.comm->size)
    return kInvalidArgument;
  group.push_back(transfer);
  return kSuccess;
}

}  // namespace

extern "C" {

int ncclGetUniqueId(UniqueId* id) {
  const std::lock_guard lock(worlds_mutex);
  ++ids;
  std::memcpy(id->bytes, &ids, sizeof ids);
  return kSuccess;
}

int ncclCommInitRank(void** comm, int size, UniqueId id, int rank) {
  if (rank < 0 || rank >= size) return kInvalidArgument;
  int number = 0;
  std::memcpy(&number, id.bytes, sizeof number);
  const std::lock_guard lock(worlds_mutex);
  std::shared_ptr<World> world = worlds[number].lock();
  if (!world) worlds[number] = world = std::make_shared<World>();
  *comm = new Comm{std::move(world), rank, size};
  return kSuccess;
}

int ncclCommAbort(void* comm) {
  delete static_cast<Comm*>(comm);
  return kSuccess;
}

int ncclGroupStart() {
  in_group = true;
  return kSuccess;
}

int ncclSend(const void* values, std::size_t count, int type, int to, void* comm, void*) {
  return queue({static_cast<Comm*>(comm), to, static_cast<const float*>(values), nullptr, count}, type);
}

int ncclRecv(void* values, std::size_t count, int type, int from, void* comm, void*) {
  return queue({static_cast<Comm*>(comm), from, nullptr, static_cast<float*>(values), count}, type);
}

int ncclGroupEnd() {
  in_group = false;
  const std::vector<Transfer> all = std::exchange(group, {});
  for (const Transfer& transfer : all) {
    if (transfer.from == nullptr) continue;
    transfer.comm->world->send(transfer.comm->rank, transfer.other,
                               {transfer.from, transfer.from + transfer.count});
  }
  Result result = kSuccess;
  for (const Transfer& transfer : all) {
    if (transfer.to == nullptr || result != kSuccess) continue;
    result = transfer.comm->world->receive(transfer.other, transfer.comm->rank, transfer.to, transfer.count);
  }
  return result;
}

const char* ncclGetErrorString(int result) {
  switch (result) {
    case kSuccess:
      return "no error";
    case kInvalidArgument:
      return "invalid argument";
    case kInvalidUsage:
      return "invalid usage";
    default:
      return "internal error";
  }
}

}  // extern "C"
