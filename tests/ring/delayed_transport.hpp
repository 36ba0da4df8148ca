// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <list>
#include <vector>

#include "problem/counter_random.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// Makes messages over `below` late and their order of completion random, as a function of `seed` alone. Sends read
/// their buffer some looks (calls of progress or of a wait) after they were posted, in the order of posting of one
/// peer and tag; receives fill theirs only when they complete, and hold 0xEE until then. Whoever touches a buffer
/// before its ticket completed therefore computes wrong values. Needs ranks that run at the same time (not loopback).
class DelayedTransport : public Transport {
public:
  DelayedTransport(Transport &below, std::uint64_t seed, std::uint64_t most_looks = 40)
      : below_(below), seed_(seed), most_looks_(most_looks) {}

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override {
    Message &message = add(source, tag, site);
    message.into = buffer;
    message.arriving.resize(static_cast<std::size_t>(bytes));
    std::memset(buffer, 0xEE, message.arriving.size());
    message.below = below_.post_receive(source, message.arriving.data(), bytes, tag, site);
    message.posted = true;
    return message.ticket;
  }

  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override {
    Message &message = add(destination, tag, site);
    message.from = buffer;
    message.bytes = bytes;
    return message.ticket;
  }

  Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                         Gathering gathering, const Site &site) override {
    Message &message = add(-1, MessageTag::gathered_block, site);
    message.below = below_.post_all_gather(own, gathered, parts, gathering, site);
    message.posted = true;
    return message.ticket;
  }

  bool progress() override {
    look();
    std::erase_if(messages_, [this](Message &message) {
      // Whether one message arrived is not told, so the last one ends them all.
      return all_below_done_ && message.posted && message.looks == 0 && (deliver(message), true);
    });
    return messages_.empty();
  }

  void wait(std::span<const Ticket> tickets, const Site &site) override {
    const auto meant = [&](const Message &message) {
      return std::find(tickets.begin(), tickets.end(), message.ticket) != tickets.end();
    };
    while (std::any_of(messages_.begin(), messages_.end(),
                       [&](const Message &message) { return meant(message) && message.looks > 0; })) {
      look();
    }
    complete_if(meant, site);
  }

  void wait_all(const Site &site) override {
    while (std::any_of(messages_.begin(), messages_.end(), [](const Message &message) { return message.looks > 0; })) {
      look();
    }
    complete_if([](const Message &) { return true; }, site);
  }

  TransportCounters counters() const override { return below_.counters(); }

private:
  struct Message {
    int peer = -1;
    MessageTag tag = MessageTag::control;
    Site site;
    Ticket ticket = 0;
    std::uint64_t looks = 0; ///< left
    bool posted = false;     ///< below
    Ticket below = 0;
    const std::byte *from = nullptr;
    std::int64_t bytes = 0;
    std::byte *into = nullptr;
    std::vector<std::byte> arriving;
  };

  Message &add(int peer, MessageTag tag, const Site &site) {
    all_below_done_ = false;
    Message &message = messages_.emplace_back();
    message.peer = peer;
    message.tag = tag;
    message.site = site;
    message.ticket = ++last_ticket_;
    message.looks = problem::random_bits(seed_, 0, message.ticket) % (most_looks_ + 1);
    return message;
  }

  void look() {
    for (Message &message : messages_) {
      message.looks -= message.looks > 0 ? 1 : 0;
    }
    for (auto message = messages_.begin(); message != messages_.end(); ++message) {
      // Not before an earlier one of the same peer and tag, which it must not overtake.
      const bool first = std::none_of(messages_.begin(), message, [&](const Message &other) {
        return !other.posted && other.peer == message->peer && other.tag == message->tag;
      });
      if (!message->posted && first && message->looks == 0) {
        message->below = below_.post_send(message->peer, message->from, message->bytes, message->tag, message->site);
        message->posted = true;
      }
    }
    all_below_done_ = below_.progress();
  }

  template <class Meant> void complete_if(const Meant &meant, const Site &site) {
    // While this rank waits below, nobody posts its late sends, which may be what the others wait for.
    while (std::any_of(messages_.begin(), messages_.end(), [](const Message &message) { return !message.posted; })) {
      look();
    }
    std::vector<Ticket> below;
    for (const Message &message : messages_) {
      if (meant(message)) {
        below.push_back(message.below);
      }
    }
    below_.wait(below, site);
    std::erase_if(messages_, [&](Message &message) { return meant(message) && (deliver(message), true); });
  }

  static void deliver(Message &message) {
    if (message.into != nullptr) {
      std::memcpy(message.into, message.arriving.data(), message.arriving.size());
    }
  }

  Transport &below_;
  std::uint64_t seed_;
  std::uint64_t most_looks_;
  Ticket last_ticket_ = 0;
  bool all_below_done_ = true;
  std::list<Message> messages_;
};

} // namespace ringscale::ring
