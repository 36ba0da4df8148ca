// SPDX-License-Identifier: Apache-2.0
// NCCL's calls over MPI on host memory, as late and as asynchronous as the real ones may be: joining, and each group,
// is "in progress" for a few looks before it is accepted.
#include "tests/nccl_stand_in/nccl_stand_in.hpp"

#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "ring/mpi_check.hpp"

using namespace ringscale;
using nccl_stand_in::Fault;

namespace {

constexpr int looks_in_progress = 3;
constexpr int message_tag = 7;
constexpr const char *id_text = "an id of the stand-in";

struct Message {
  const void *from = nullptr;
  void *into = nullptr;
  std::size_t bytes = 0;
  int peer = -1;
};

MPI_Comm next_communicator = MPI_COMM_NULL;
Fault fault = Fault::none;
nccl_stand_in::Counters counted;
bool in_group = false;
ncclComm_t group_communicator = nullptr;
CUstream_st *group_stream = nullptr;
std::vector<Message> group_messages;

} // namespace

/// Groups in order; each starts when the one before it has arrived.
struct CUstream_st {
  struct Group {
    ncclComm *communicator = nullptr;
    std::vector<Message> messages;
    std::vector<MPI_Request> requests;
    bool started = false;
  };
  std::deque<Group> groups;
  std::uint64_t accepted = 0;
  std::uint64_t arrived = 0;

  void progress();
};

struct ncclComm {
  MPI_Comm mpi = MPI_COMM_NULL;
  int looks_left = looks_in_progress;
  bool joined = false;
  bool finalized = false;
  ncclResult_t error = ncclSuccess;
  std::vector<Message> pending; ///< a group on its way into the stream
  CUstream_st *pending_stream = nullptr;
};

void CUstream_st::progress() {
  while (!groups.empty()) {
    Group &group = groups.front();
    if (fault == Fault::lost_messages) {
      return;
    }
    if (!group.started) {
      group.started = true;
      for (const Message &message : group.messages) {
        MPI_Request &request = group.requests.emplace_back(MPI_REQUEST_NULL);
        const int bytes = static_cast<int>(message.bytes);
        if (message.into != nullptr) {
          MPI_Irecv(message.into, bytes, MPI_BYTE, message.peer, message_tag, group.communicator->mpi, &request);
        } else {
          MPI_Isend(message.from, bytes, MPI_BYTE, message.peer, message_tag, group.communicator->mpi, &request);
        }
      }
    }
    int done = 0;
    const int code =
        MPI_Testall(static_cast<int>(group.requests.size()), group.requests.data(), &done, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS) {
      group.communicator->error = ncclInternalError;
      return;
    }
    if (done == 0) {
      return;
    }
    groups.pop_front();
    ++arrived;
  }
}

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  if (fault == Fault::no_id) {
    return ncclSystemError;
  }
  std::memset(id->internal, 'x', sizeof(id->internal));
  std::strcpy(id->internal, id_text);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *communicator, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
  int size = 0;
  int own_rank = -1;
  if (next_communicator == MPI_COMM_NULL || MPI_Comm_size(next_communicator, &size) != MPI_SUCCESS ||
      MPI_Comm_rank(next_communicator, &own_rank) != MPI_SUCCESS || size != ranks || own_rank != rank ||
      std::strcmp(id.internal, id_text) != 0 || config->blocking != 0) {
    return ncclInvalidArgument;
  }
  *communicator = new ncclComm;
  (*communicator)->mpi = next_communicator;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t *state) {
  if (fault == Fault::failed_start && !communicator->joined) {
    communicator->error = ncclSystemError;
  }
  if (fault == Fault::async_error && communicator->joined && !communicator->pending.empty()) {
    communicator->error = ncclRemoteError;
  }
  if (communicator->error != ncclSuccess) {
    *state = communicator->error;
    return ncclSuccess;
  }
  const bool endless = (fault == Fault::endless_start && !communicator->joined) ||
                       (fault == Fault::endless_group && !communicator->pending.empty());
  communicator->looks_left -= endless || communicator->looks_left == 0 ? 0 : 1;
  if (communicator->looks_left > 0) {
    *state = ncclInProgress;
    return ncclSuccess;
  }
  communicator->joined = true;
  if (!communicator->pending.empty()) {
    CUstream_st::Group group;
    group.communicator = communicator;
    group.messages.swap(communicator->pending);
    communicator->pending_stream->groups.push_back(std::move(group));
    ++communicator->pending_stream->accepted;
  }
  *state = ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart(void) {
  counted.misused += in_group ? 1 : 0;
  in_group = true;
  return ncclSuccess;
}

static ncclResult_t add(const Message &message, ncclDataType_t type, ncclComm_t communicator, cudaStream_t stream) {
  counted.misused += in_group && communicator->joined && communicator->pending.empty() ? 0 : 1;
  if (type != ncclUint8) {
    return ncclInvalidArgument;
  }
  group_communicator = communicator;
  group_stream = stream;
  group_messages.push_back(message);
  return ncclSuccess;
}

ncclResult_t ncclSend(const void *buffer, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator,
                      cudaStream_t stream) {
  ++counted.sends;
  return add({buffer, nullptr, count, peer}, type, communicator, stream);
}

ncclResult_t ncclRecv(void *buffer, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator,
                      cudaStream_t stream) {
  ++counted.receives;
  return add({nullptr, buffer, count, peer}, type, communicator, stream);
}

ncclResult_t ncclGroupEnd(void) {
  counted.misused += in_group ? 0 : 1;
  in_group = false;
  ++counted.groups;
  std::vector<Message> messages;
  messages.swap(group_messages);
  if (fault == Fault::failed_group) {
    return ncclInternalError;
  }
  if (messages.empty()) {
    return ncclSuccess;
  }
  group_communicator->pending = std::move(messages);
  group_communicator->pending_stream = group_stream;
  group_communicator->looks_left = looks_in_progress;
  return ncclInProgress;
}

ncclResult_t ncclCommFinalize(ncclComm_t communicator) {
  counted.misused += communicator->joined && communicator->pending.empty() ? 0 : 1;
  communicator->finalized = true;
  communicator->looks_left = looks_in_progress;
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  counted.misused += communicator->finalized && communicator->looks_left == 0 ? 0 : 1;
  ++counted.destroyed;
  delete communicator;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  ++counted.aborted;
  delete communicator;
  return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
  switch (result) {
  case ncclRemoteError:
    return "stand-in: the other side failed";
  case ncclInternalError:
    return "stand-in: internal error";
  case ncclSystemError:
    return "stand-in: system error";
  default:
    return "stand-in: another error";
  }
}
}

namespace ringscale::nccl_stand_in {

namespace {

class HostStream : public ring::DeviceStream {
public:
  CUstream_st *handle() override { return &stream_; }
  std::uint64_t mark() override { return stream_.accepted; }
  bool passed(std::uint64_t mark) override {
    stream_.progress();
    return stream_.arrived >= mark;
  }

private:
  CUstream_st stream_;
};

} // namespace

void prepare(MPI_Comm communicator) {
  next_communicator = communicator;
  fault = Fault::none;
  counted = {};
  in_group = false;
  group_messages.clear();
}

void inject(Fault what) { fault = what; }

Counters counters() { return counted; }

std::unique_ptr<ring::DeviceStream> make_stream() { return std::make_unique<HostStream>(); }

} // namespace ringscale::nccl_stand_in
