// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <vector>

#include "ring/deadline_guard.hpp"
#include "ring/polled_transport.hpp"

namespace ringscale::ring {

/// Exchange::one_sided: the receiver attaches its buffer to a dynamic window and sends its address; the sender puts
/// (MPI_Rput, passive target), flushes, and says that it is done. Puts start only once the address has come, so posting
/// receives early matters as much as with rendezvous messages. MPICH moves puts into dynamic windows as active messages
/// when the network has no matching hardware, so the target must make progress then too. A flush cannot be polled:
/// progress() may stand in one until the target looks at its messages.
///
/// Construction and destruction are collective over the communicator (window, duplicate for control messages).
class OneSidedTransport : public PolledTransport {
public:
  explicit OneSidedTransport(const Communicator &communicator, std::int64_t piece_bytes = std::int64_t{1} << 30);
  ~OneSidedTransport() override;
  OneSidedTransport(const OneSidedTransport &) = delete;
  OneSidedTransport &operator=(const OneSidedTransport &) = delete;

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override;
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override;

protected:
  void poll() override;
  bool travels(std::span<const Ticket> tickets) const override;
  bool anything_travels() const override;
  std::string describe_outstanding() const override;

private:
  /// What control messages carry: the receiver's ticket, and the address (there) or nothing (back), and the length of
  /// the side that speaks.
  struct Control {
    std::uint64_t receive_ticket = 0;
    std::int64_t address = 0;
    std::int64_t bytes = 0;
  };
  enum class Kind { ready, done };

  struct Receive {
    Ticket ticket = 0;
    int source = -1;
    std::byte *buffer = nullptr;
    std::int64_t bytes = 0;
    Site site;
    Control ready;
    MPI_Request ready_request = MPI_REQUEST_NULL;
    Control done; ///< the next done message from this source and tag, which may be another receive's
    MPI_Request done_request = MPI_REQUEST_NULL;
    bool arrived = false;
    std::int64_t sent_bytes = 0; ///< what the sender says
  };

  enum class Stage { waiting_for_address, putting, telling };
  struct Send {
    Ticket ticket = 0;
    int destination = -1;
    const std::byte *buffer = nullptr;
    std::int64_t bytes = 0;
    MessageTag tag = MessageTag::control;
    Site site;
    Stage stage = Stage::waiting_for_address;
    Control ready;
    Control done;
    MPI_Request request = MPI_REQUEST_NULL; ///< of the control message of the stage
    std::vector<MPI_Request> puts;
  };

  static int control_tag(MessageTag tag, Kind kind);
  bool advance(Send &send);
  void put(Send &send);
  void tell(Send &send);
  void take_done_messages();
  void finish(const Receive &receive);

  Communicator control_; ///< so that control messages cannot meet the user's
  MPI_Win window_ = MPI_WIN_NULL;
  DeadlineGuard guard_;
  std::int64_t piece_bytes_;
  std::list<Receive> receives_; ///< lists: MPI writes into the control messages in place
  std::list<Send> sends_;
};

} // namespace ringscale::ring
