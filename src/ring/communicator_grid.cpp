// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "problem/invalid_input.hpp"
#include "ring/communicator.hpp"

namespace ringscale::ring {

namespace {

/// "2 x 4"
std::string product_of(std::span<const int> sizes) {
  std::string text;
  for (const int size : sizes) {
    text += (text.empty() ? "" : " x ") + std::to_string(size);
  }
  return text;
}

} // namespace

Communicator Communicator::copy() const {
  const char *what = "copying a communicator";
  MPI_Comm handle = MPI_COMM_NULL;
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Comm_idup(handle_, &handle, &request), "MPI_Comm_idup", {what, rank_});
  wait(request, "MPI_Comm_idup", what);
  Communicator result;
  result.handle_ = handle;
  check_mpi(MPI_Comm_set_errhandler(handle, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", {what, rank_});
  result.rank_ = rank_;
  result.size_ = size_;
  result.ranks_on_node_ = ranks_on_node_;
  result.cores_on_node_ = cores_on_node_;
  result.deadline_s_ = deadline_s_;
  result.wait_mode_ = wait_mode_;
  return result;
}

Communicator Communicator::cartesian(std::span<const int> sizes) const {
  if (sizes.empty()) {
    throw problem::InvalidInput("the grid of ranks has no axis; give one size or more");
  }
  std::int64_t product = 1;
  for (const int size : sizes) {
    if (size < 1) {
      throw problem::InvalidInput("the grid of ranks is " + product_of(sizes) + "; every size must be 1 or more");
    }
    // Stops growing once it is too large: any larger product is as wrong, and this one cannot overflow.
    product = product > size_ ? product : product * size;
  }
  if (product != size_) {
    throw problem::InvalidInput("the grid of ranks is " + product_of(sizes) +
                                "; the product of its sizes must be the " + std::to_string(size_) +
                                " ranks of the group");
  }
  const Site site{"forming a grid of ranks", rank_};
  const std::vector<int> periodic(sizes.size(), 0);
  MPI_Comm handle = MPI_COMM_NULL;
  check_mpi(MPI_Cart_create(handle_, static_cast<int>(sizes.size()), sizes.data(), periodic.data(), 0, &handle),
            "MPI_Cart_create", site);
  Communicator result;
  result.adopt(handle);
  result.deadline_s_ = deadline_s_;
  return result;
}

int Communicator::grid_axes() const {
  const Site site{"asking a grid of ranks", rank_};
  int topology = MPI_UNDEFINED;
  check_mpi(MPI_Topo_test(handle_, &topology), "MPI_Topo_test", site);
  if (topology != MPI_CART) {
    return 0;
  }
  int axes = 0;
  check_mpi(MPI_Cartdim_get(handle_, &axes), "MPI_Cartdim_get", site);
  return axes;
}

std::vector<int> Communicator::coordinates() const {
  const int axes = grid_axes();
  std::vector<int> result(static_cast<std::size_t>(axes));
  if (axes > 0) {
    check_mpi(MPI_Cart_coords(handle_, rank_, axes, result.data()), "MPI_Cart_coords",
              {"asking a grid of ranks", rank_});
  }
  return result;
}

Communicator Communicator::sub_grid(std::span<const bool> kept) const {
  const int axes = grid_axes();
  if (axes == 0) {
    throw problem::InvalidInput("this group of ranks is no grid; make one with cartesian before asking for a part");
  }
  if (kept.size() != static_cast<std::size_t>(axes)) {
    throw problem::InvalidInput("the part of the grid names " + std::to_string(kept.size()) +
                                " axes; the grid of ranks has " + std::to_string(axes));
  }
  const Site site{"forming a part of a grid", rank_};
  const std::vector<int> remaining(kept.begin(), kept.end());
  MPI_Comm handle = MPI_COMM_NULL;
  if (std::ranges::find(kept, true) == kept.end()) {
    // MPI_Cart_sub of MPICH 4.0 gives every rank but the first no communicator here.
    check_mpi(MPI_Comm_split(handle_, rank_, 0, &handle), "MPI_Comm_split", site);
  } else {
    check_mpi(MPI_Cart_sub(handle_, remaining.data(), &handle), "MPI_Cart_sub", site);
  }
  Communicator result;
  result.adopt(handle);
  result.deadline_s_ = deadline_s_;
  return result;
}

} // namespace ringscale::ring
