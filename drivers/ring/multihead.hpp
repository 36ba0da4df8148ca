// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "report/json.hpp"
#include "ring/communicator.hpp"
#include "ring/multihead_run.hpp"

namespace ringscale::drivers {

class Session;

/// Lines of the plan that a layer adds to those of its ring.
void say_multihead_plan(Session &session, const ring::MultiheadOptions &options);

/// Times, errors and reasons of a run, for people.
void say_multihead_run(Session &session, const ring::MultiheadOptions &options, const ring::MultiheadRun &run);

/// The settings of the layer, beside those of its ring.
void add_multihead_configuration(report::Json &configuration, const ring::MultiheadOptions &options);

} // namespace ringscale::drivers
