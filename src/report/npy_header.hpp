// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringscale::report {

/// What the header of an .npy file says about the array (numpy.lib.format, versions 1.0 to 3.0).
struct NpyHeader {
  std::string element_type; ///< numpy's descr: byte order, kind, bytes, as in "<f4"
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Parses a header: a Python dict literal with exactly the keys 'descr' (a string), 'fortran_order' (True or False) and
/// 'shape' (a tuple of integers), in any order. Whatever else the bytes are, throws problem::InvalidInput whose one
/// line says what was expected; it is to be prefixed by the file's name.
NpyHeader parse_npy_header(std::string_view text);

/// The first bytes of a file with this header, up to the data: magic, version 1.0, and the header padded with spaces
/// so that the data begins at a multiple of 64 bytes, as numpy writes it. Throws std::invalid_argument where the
/// header does not fit a version 1.0 file.
std::string npy_prefix(const NpyHeader &header);

/// `text` in quotes for a message of one line: unprintable bytes escaped, at most 40 characters.
std::string printable(std::string_view text);

} // namespace ringscale::report
