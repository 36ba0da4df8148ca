// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "problem/invalid_input.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

template <class Call> std::string refusal_of(const Call &call) {
  try {
    call();
  } catch (const problem::InvalidInput &refusal) {
    return refusal.what();
  }
  return "was accepted";
}

TEST(CartesianGrid, LastAxisVariesFastestAndRowsAndColumnsSumTheirOwn) {
  on_first_ranks(4, [](Communicator &four) {
    four.set_deadline(77.0);
    const Communicator grid = four.cartesian(std::array{2, 2});
    EXPECT_EQ(grid.rank(), four.rank()) << "ranks keep their order";
    EXPECT_EQ(grid.size(), 4);
    EXPECT_EQ(grid.deadline_s(), 77.0);
    EXPECT_EQ(grid.coordinates(), (std::vector<int>{four.rank() / 2, four.rank() % 2}));
    const Communicator row = grid.sub_grid(std::array{false, true});
    const Communicator column = grid.sub_grid(std::array{true, false});
    EXPECT_EQ(row.size(), 2);
    EXPECT_EQ(row.deadline_s(), 77.0);
    EXPECT_EQ(row.rank(), four.rank() % 2);
    EXPECT_EQ(column.rank(), four.rank() / 2);
    EXPECT_EQ(row.sum(std::int64_t{four.rank()}), four.rank() < 2 ? 0 + 1 : 2 + 3);
    EXPECT_EQ(column.sum(std::int64_t{four.rank()}), four.rank() % 2 == 0 ? 0 + 2 : 1 + 3);
    const Communicator alone = grid.sub_grid(std::array{false, false});
    EXPECT_EQ(alone.size(), 1);
    EXPECT_EQ(alone.grid_axes(), 0);
    const Communicator whole = grid.sub_grid(std::array{true, true});
    EXPECT_EQ(whole.size(), 4);
    MPI_Errhandler handler = MPI_ERRHANDLER_NULL;
    ASSERT_EQ(MPI_Comm_get_errhandler(row.handle(), &handler), MPI_SUCCESS);
    EXPECT_TRUE(handler == MPI_ERRORS_RETURN);
  });
}

TEST(CommunicatorCopy, KeepsItsMessagesApartAndKnowsItsNode) {
  const Communicator copy = world().copy();
  EXPECT_EQ(copy.rank(), world().rank());
  EXPECT_EQ(copy.size(), world().size());
  EXPECT_EQ(copy.deadline_s(), world().deadline_s());
  EXPECT_EQ(copy.wait_mode(), world().wait_mode());
  EXPECT_EQ(copy.ranks_on_node(), world().ranks_on_node());
  EXPECT_EQ(copy.cores_on_node(), world().cores_on_node());
  int relation = MPI_UNEQUAL;
  ASSERT_EQ(MPI_Comm_compare(copy.handle(), world().handle(), &relation), MPI_SUCCESS);
  EXPECT_EQ(relation, MPI_CONGRUENT);
  // Started in another order on the odd ranks: only communicators of their own can tell the two apart.
  std::vector<float> first(10, 1.0F);
  std::vector<float> second(10, 5.0F);
  const bool odd = world().rank() % 2 == 1;
  Collective earlier = odd ? copy.start_sum(second) : world().start_sum(first);
  Collective later = odd ? world().start_sum(first) : copy.start_sum(second);
  earlier.wait();
  later.wait();
  EXPECT_THAT(first, testing::Each(static_cast<float>(world().size())));
  EXPECT_THAT(second, testing::Each(5.0F * static_cast<float>(world().size())));
}

TEST(CartesianGrid, NoAxisIsPeriodic) {
  const Communicator line = world().cartesian(std::array{world().size()});
  int before = 0;
  int after = 0;
  ASSERT_EQ(MPI_Cart_shift(line.handle(), 0, 1, &before, &after), MPI_SUCCESS);
  EXPECT_EQ(before, line.rank() == 0 ? MPI_PROC_NULL : line.rank() - 1);
  EXPECT_EQ(after, line.rank() == line.size() - 1 ? MPI_PROC_NULL : line.rank() + 1);
}

TEST(CartesianGrid, RefusesWhatDoesNotFitInOneLine) {
  using testing::AllOf;
  using testing::HasSubstr;
  const int size = world().size();
  EXPECT_THAT(refusal_of([&] {
                world().cartesian(std::array{size, 2});
              }),
              AllOf(HasSubstr(std::to_string(size) + " x 2"), HasSubstr("the " + std::to_string(size) + " ranks")));
  EXPECT_THAT(refusal_of([&] { world().cartesian(std::array{size + 1}); }), HasSubstr("product"));
  EXPECT_THAT(refusal_of([&] { world().cartesian(std::array{-1, -size}); }), HasSubstr("1 or more"));
  EXPECT_THAT(refusal_of([&] { world().cartesian(std::array{0}); }), HasSubstr("1 or more"));
  EXPECT_THAT(refusal_of([&] { world().cartesian(std::array{1 << 30, 1 << 30, 1 << 30}); }), HasSubstr("product"));
  EXPECT_THAT(refusal_of([&] { world().cartesian(std::span<const int>()); }), HasSubstr("no axis"));
  EXPECT_THAT(refusal_of([&] { world().sub_grid(std::array{true}); }), HasSubstr("no grid"));
  EXPECT_EQ(world().grid_axes(), 0);
  EXPECT_TRUE(world().coordinates().empty());
  const Communicator line = world().cartesian(std::array{size});
  EXPECT_THAT(refusal_of([&] { line.sub_grid(std::array{true, true}); }), HasSubstr("2 axes"));
  line.barrier();
}

TEST(StartedCollective, SumsWhileTheCallerPolls) {
  const int size = world().size();
  std::vector<float> values(10001);
  for (std::size_t index = 0; index < values.size(); ++index) {
    values[index] = static_cast<float>(world().rank()) + static_cast<float>(index % 7);
  }
  Collective sum = world().start_sum(values);
  EXPECT_FALSE(sum.done());
  while (!sum.progress()) {
  }
  EXPECT_TRUE(sum.done());
  sum.wait(); // nothing left to do
  for (std::size_t index = 0; index < values.size(); ++index) {
    ASSERT_EQ(values[index],
              static_cast<float>(size * (size - 1) / 2) + static_cast<float>(size) * static_cast<float>(index % 7));
  }
  Collective nothing = world().start_sum({});
  EXPECT_TRUE(nothing.progress());
  world().barrier();
}

TEST(StartedCollective, TwoAtOnceKeepApartAndADroppedOneIsWaitedFor) {
  std::vector<float> first(3000, 1.0F);
  std::vector<float> second(5000, 2.0F);
  {
    const Collective dropped = world().start_sum(first);
    Collective moved_from = world().start_sum(second);
    Collective moved_to = std::move(moved_from);
    moved_to.wait();
  }
  const auto ranks = static_cast<float>(world().size());
  EXPECT_THAT(first, testing::Each(ranks));
  EXPECT_THAT(second, testing::Each(2.0F * ranks));
}

TEST(StartedCollective, GathersBytesByRankAndRefusesAWrongRoom) {
  const auto size = static_cast<std::size_t>(world().size());
  const std::vector<std::byte> mine(77, static_cast<std::byte>(world().rank() + 1));
  std::vector<std::byte> everyones(77 * size);
  world().start_all_gather(mine, everyones).wait();
  for (std::size_t index = 0; index < everyones.size(); ++index) {
    ASSERT_EQ(everyones[index], static_cast<std::byte>(index / 77 + 1));
  }
  everyones.pop_back();
  EXPECT_THROW(world().start_all_gather(mine, everyones), std::invalid_argument);
  world().barrier();
}

} // namespace
} // namespace ringscale::ring
