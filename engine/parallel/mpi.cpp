// Processes that MPI connects.
#include <mpi.h>

#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <thread>

#include "engine/core/error.h"
#include "engine/parallel/launch.h"

namespace pila {
namespace {

// MPI counts in int.
int count_of(std::size_t count) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error("[mpi] expected less than 2^31 values at once, got " + std::to_string(count));
  }
  return static_cast<int>(count);
}

// MPI's own way with errors stays as it is: it says what is wrong and ends all ranks.
class Mpi : public Communicator {
 public:
  Mpi() {
    int level = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm_dup(MPI_COMM_WORLD, &meeting_);
  }
  ~Mpi() override {
    MPI_Comm_free(&meeting_);
    MPI_Finalize();
  }
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  // Each rank adds up its share of the values: MPI_Allreduce may add in any order.
  void sum(std::span<float> values) override {
    count_of(values.size());
    const auto total = static_cast<std::int64_t>(values.size());
    std::vector<int> counts, begins;
    for (int r = 0; r < size_; ++r) {
      const Share share = share_of(total, r, size_);
      counts.push_back(static_cast<int>(share.count()));
      begins.push_back(static_cast<int>(share.begin));
    }
    const auto mine = static_cast<std::size_t>(counts[static_cast<std::size_t>(rank_)]);
    count_of(mine * static_cast<std::size_t>(size_));
    const std::vector<int> my_counts(static_cast<std::size_t>(size_), static_cast<int>(mine));
    std::vector<int> my_begins;
    for (int r = 0; r < size_; ++r) my_begins.push_back(r * static_cast<int>(mine));
    parts_.resize(mine * static_cast<std::size_t>(size_));
    MPI_Alltoallv(values.data(), counts.data(), begins.data(), MPI_FLOAT, parts_.data(), my_counts.data(),
                  my_begins.data(), MPI_FLOAT, MPI_COMM_WORLD);
    for (std::size_t i = 0; i < mine; ++i) {
      double total_of = 0;
      for (std::size_t part = i; part < parts_.size(); part += mine) total_of += parts_[part];
      parts_[i] = static_cast<float>(total_of);
    }
    MPI_Allgatherv(parts_.data(), static_cast<int>(mine), MPI_FLOAT, values.data(), counts.data(),
                   begins.data(), MPI_FLOAT, MPI_COMM_WORLD);
  }

  std::vector<std::byte> gather(std::span<const std::byte> mine) override {
    const int count = count_of(mine.size());
    std::vector<int> counts(static_cast<std::size_t>(size_)), begins(counts.size());
    MPI_Allgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, MPI_COMM_WORLD);
    const std::size_t total = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
    count_of(total);
    std::exclusive_scan(counts.begin(), counts.end(), begins.begin(), 0);
    std::vector<std::byte> all(total);
    MPI_Allgatherv(mine.data(), count, MPI_BYTE, all.data(), counts.data(), begins.data(), MPI_BYTE,
                   MPI_COMM_WORLD);
    return all;
  }

  void broadcast(std::span<std::byte> bytes) override {
    MPI_Bcast(bytes.data(), count_of(bytes.size()), MPI_BYTE, 0, MPI_COMM_WORLD);
  }

  // By a communicator of its own: the others may be inside of another call.
  std::optional<std::string> meet(const std::string& words, std::chrono::milliseconds patience) override {
    constexpr std::chrono::milliseconds kPause(5);
    MPI_Request request;
    MPI_Ibarrier(meeting_, &request);
    const auto end = std::chrono::steady_clock::now() + patience;
    for (int done = 0;;) {
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (done != 0) break;
      if (std::chrono::steady_clock::now() > end) return {};
      std::this_thread::sleep_for(kPause);
    }
    std::string first_words = words;
    int length = count_of(words.size());
    MPI_Bcast(&length, 1, MPI_INT, 0, meeting_);
    first_words.resize(static_cast<std::size_t>(length));
    MPI_Bcast(first_words.data(), length, MPI_CHAR, 0, meeting_);
    return first_words;
  }

  [[noreturn]] void abort(int exit_code) override {
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

 private:
  int rank_ = 0, size_ = 1;
  MPI_Comm meeting_ = MPI_COMM_NULL;
  std::vector<float> parts_;  // of sum(): the same share of all ranks' values
};

}  // namespace

std::unique_ptr<Communicator> join(const Launched& launched) {
  if (launched.size == 1) return std::make_unique<SingleProcess>();
  auto mpi = std::make_unique<Mpi>();
  if (mpi->size() != launched.size) {
    throw Error("was started as one of " + std::to_string(launched.size) + " processes, and MPI sees " +
                std::to_string(mpi->size()) +
                "; start it with the mpirun of the MPI that it was built with, or "
                "with Slurm's plug-in for that one (srun --mpi=list)");
  }
  return mpi;
}

}  // namespace pila
