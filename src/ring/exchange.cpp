// SPDX-License-Identifier: Apache-2.0
#include "ring/exchange.hpp"

#include <array>
#include <utility>

#include "problem/words.hpp"

namespace ringscale::ring {

namespace {

constexpr std::array<std::pair<std::string_view, Exchange>, 4> exchange_words{{{"nonblocking", Exchange::nonblocking},
                                                                               {"blocking", Exchange::blocking},
                                                                               {"persistent", Exchange::persistent},
                                                                               {"one_sided", Exchange::one_sided}}};

constexpr std::array<std::pair<std::string_view, Gathering>, 2> gathering_words{
    {{"nonblocking", Gathering::nonblocking}, {"blocking", Gathering::blocking}}};

} // namespace

std::string_view name(Exchange exchange) { return problem::word_of(exchange_words, exchange); }
Exchange parse_exchange(std::string_view word) { return problem::parse_word("exchange", exchange_words, word); }

std::string_view name(Gathering gathering) { return problem::word_of(gathering_words, gathering); }
Gathering parse_gathering(std::string_view word) { return problem::parse_word("gathering", gathering_words, word); }

} // namespace ringscale::ring
