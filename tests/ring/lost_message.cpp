// SPDX-License-Identifier: Apache-2.0
// Two ranks and a message that never completes, to see that the job ends at the deadline of 1 s and says why:
//   lost_message EXCHANGE no_sender      rank 0 waits for a message that rank 1 does not send
//   lost_message EXCHANGE no_receiver    rank 0 sends 8 MB to rank 1, which posts no receive
//   lost_message one_sided still_target  rank 1 gave its address and then looks at no message any more
//   lost_message EXCHANGE stuck_call     rank 0 stands in a call that cannot be polled, as MPI_Win_flush is
//   lost_message EXCHANGE none           the control: everything arrives and the program ends with 0
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "ring/deadline_guard.hpp"
#include "ring/make_transport.hpp"

namespace ringscale::ring {

namespace {

int run(Exchange exchange, const std::string &loss) {
  Communicator world = Communicator::world();
  world.set_deadline(1.0);
  constexpr std::int64_t bytes = 8000000;
  std::vector<std::byte> buffer(bytes);
  const Site site{"a message that is lost", world.rank(), 3, 1 - world.rank(), 1 - world.rank()};
  const auto transport = make_transport(exchange, world);
  if (world.rank() == 0 && loss == "stuck_call") {
    DeadlineGuard guard(world.deadline_s());
    guard.run(site, "a call", [] {}); // one that comes back leaves nothing behind
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    guard.run(site, "a call that stays", [] { std::this_thread::sleep_for(std::chrono::seconds(50)); });
    return 0;
  }
  if (world.rank() == 0) {
    if (loss == "no_sender" || loss == "none") {
      transport->post_receive(1, buffer.data(), bytes, MessageTag::key_value_block, site);
      transport->wait_all(site);
    }
    transport->post_send(1, buffer.data(), bytes, MessageTag::key_value_block, site);
    transport->wait_all(site);
    return 0;
  }
  if (loss != "none") {
    if (loss == "still_target") {
      transport->post_receive(0, buffer.data(), bytes, MessageTag::key_value_block, site);
      transport->progress();
    }
    std::this_thread::sleep_for(std::chrono::seconds(50));
    return 0;
  }
  transport->post_send(0, buffer.data(), bytes, MessageTag::key_value_block, site);
  transport->wait_all(site);
  transport->post_receive(0, buffer.data(), bytes, MessageTag::key_value_block, site);
  transport->wait_all(site);
  return 0;
}

} // namespace

} // namespace ringscale::ring

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: lost_message EXCHANGE no_sender|no_receiver|still_target|stuck_call|none\n");
    return 2;
  }
  const ringscale::ring::MpiEnvironment environment;
  return ringscale::ring::run(ringscale::ring::parse_exchange(argv[1]), argv[2]);
}
