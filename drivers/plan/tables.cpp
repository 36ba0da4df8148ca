// SPDX-License-Identifier: Apache-2.0
#include "drivers/plan/tables.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace ringscale::drivers {

using sizing::Evaluation;

namespace {

std::string shown(double value, const char *unit) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.6g %s", value, unit);
  return text.data();
}

std::string gigabytes(std::int64_t bytes) { return shown(static_cast<double>(bytes) / 1e9, "GB"); }

std::string duration(double seconds) {
  return shown(seconds, "s") + (seconds >= 3600.0 ? " (" + shown(seconds / 3600.0, "h") + ")" : "");
}

void say_rows(Session &session, const std::vector<Evaluation> &evaluations, std::int64_t top) {
  const auto line = [&](const char *time, const char *efficiency, const char *memory, const std::string &chunk,
                        const char *bound, const std::string &what) {
    std::array<char, 320> text{};
    std::snprintf(text.data(), text.size(), "  %12s %10s %11s %14s  %-10s %s", time, efficiency, memory, chunk.c_str(),
                  bound, what.c_str());
    session.say(text.data());
  };
  line("time_s", "efficiency", "memory_GB", "chunk_tokens", "bound", "configuration");
  line("(simulated)", "(simulated)", "(analytic)", "", "", "");
  std::int64_t said = 0;
  for (const Evaluation &evaluation : evaluations) {
    if (said++ == top) {
      session.say("  ... " + std::to_string(static_cast<std::int64_t>(evaluations.size()) - top) + " more");
      break;
    }
    const std::string memory =
        evaluation.memory ? shown(static_cast<double>(evaluation.memory->total_bytes) / 1e9, "") : ">2^56 B";
    const std::string time = evaluation.simulated ? shown(evaluation.time_s, "") : "-";
    const std::string share = evaluation.simulated ? shown(100.0 * evaluation.efficiency, "%") : "-";
    line(time.c_str(), share.c_str(), memory.c_str(), std::to_string(evaluation.chunk_tokens),
         evaluation.simulated ? evaluation.bound.c_str()
         : evaluation.fits    ? "?"
                              : "memory",
         sizing::describe(evaluation.configuration) +
             (evaluation.simulated || !evaluation.fits ? "" : "; not simulated: " + evaluation.not_simulated));
  }
}

void say_best(Session &session, const Evaluation &best) {
  session.say("configuration     " + sizing::describe(best.configuration) + "; chunk of " +
              std::to_string(best.chunk_tokens) + " tokens");
  if (!best.simulated) {
    session.say("time              not simulated: " + best.not_simulated);
    return;
  }
  std::string text = "time              " + duration(best.time_s) + " simulated";
  if (best.time_confidence > 0.0) {
    text += ", " + shown(best.time_low_s, "to ") + shown(best.time_high_s, "s with confidence ") +
            shown(best.time_confidence, "by rings left out of the fit");
  }
  session.say(text);
  if (best.passes.size() > 1) {
    session.say("passes            forward " + shown(best.passes[0].time_s, "s, backward ") +
                shown(best.passes[1].time_s, "s"));
  }
  session.say("throughput        " + shown(best.tokens_per_s, "tokens/s in all; efficiency ") +
              shown(100.0 * best.efficiency, "% of all devices' time is work"));
  session.say("bound             " + sizing::explain_bound(best));
  if (best.simulated_tokens != best.tokens) {
    session.say("simulated         " + std::to_string(best.simulated_tokens) + " tokens, rounded up to equal chunks");
  }
  if (!best.extrapolation.empty()) {
    session.say("extrapolated      " + best.extrapolation);
  }
}

} // namespace

void say_machine(Session &session, const machine::Machine &machine, const sizing::Workload &workload) {
  session.say("memory per device " + gigabytes(sizing::budget_bytes(machine, workload)) + " for attention of " +
              shown(machine.device.memory_bytes.value / 1e9, "GB, ") + machine.name + " (" + machine.kind + ", " +
              std::string(problem::name(workload.attention.dtype)) + ")");
  if (machine.hold_out.empty()) {
    session.say("error             unknown: this machine file was written from published numbers, not calibrated");
  } else {
    session.say("error             " + shown(100.0 * machine.hold_out_median_relative_error, "% median on ") +
                std::to_string(machine.hold_out.size()) + " real rings left out of the fit");
  }
}

void say_answer(Session &session, const sizing::LargestContext &answer, std::int64_t top) {
  if (answer.tokens == 0) {
    session.say("largest context   none: not one token a device fits");
    return;
  }
  session.say("largest context   " + std::to_string(answer.tokens) + " tokens (analytic), " +
              gigabytes(answer.memory_bytes) + " on the device with most, most of it " +
              std::string(memory::name(answer.largest_purpose)));
  session.say(answer.at_limit
                  ? "limit             what this program can state, not memory"
                  : "limit             memory: one token more needs " +
                        (answer.next_memory_bytes > 0 ? gigabytes(answer.next_memory_bytes) + " (" +
                                                            std::to_string(answer.next_memory_bytes) + " bytes)"
                                                      : "more than 2^56 bytes"));
  say_best(session, answer.ranked.front());
  session.say("held by           " + std::to_string(answer.ranked.size()) + " of " +
              std::to_string(answer.by_configuration.size()) + " configurations:");
  say_rows(session, answer.ranked, top);
}

void say_answer(Session &session, const sizing::FewestDevices &answer, std::int64_t top) {
  if (answer.memory_devices == 0) {
    session.say("fewest devices    none: the memory of no number of devices up to --most-devices holds this context");
    return;
  }
  if (answer.devices == 0) {
    session.say("fewest devices    none: " + std::to_string(answer.memory_devices) +
                " hold the context, but no number that was simulated is as fast as " + duration(answer.time_limit_s) +
                (answer.left_out ? "; larger ones cost more than --most-steps allows" : ""));
    if (answer.fastest) {
      session.say("fastest simulated " + duration(answer.fastest->time_s) + " on " +
                  std::to_string(answer.fastest->configuration.devices()) +
                  " devices; schedules whose work alone exceeds the limit were not simulated");
    }
    return;
  }
  session.say("fewest devices    " + std::to_string(answer.devices) +
              (answer.limited_by_time ? " (simulated)" : " (analytic)"));
  if (answer.limited_by_time) {
    session.say("limit             time: memory alone needs " + std::to_string(answer.memory_devices) + "; " +
                std::to_string(answer.smaller_checked) + " smaller numbers were simulated one by one" +
                (answer.all_smaller ? ", all there are" : ", the nearest; below them the range was halved") +
                (answer.left_out ? "; schedules too large to simulate were left out" : ""));
  } else {
    session.say("limit             memory: no smaller number of devices holds the context in any configuration");
  }
  say_best(session, answer.ranked.front());
  say_rows(session, answer.ranked, top);
}

void say_answer(Session &session, const sizing::Ranking &answer, std::int64_t top) {
  session.say("configurations    " + std::to_string(answer.ranked.size()) + " weighed, " +
              std::to_string(answer.fitting) + " fit the memory, " + std::to_string(answer.simulated) + " simulated");
  if (answer.fitting == 0) {
    session.say("best              none fits");
  } else {
    say_best(session, answer.ranked.front());
  }
  if (answer.leanest) {
    session.say("as fast           " + std::to_string(answer.near_the_best) +
                " within 1 %; least memory of these: " + sizing::describe(answer.leanest->configuration) + ", " +
                gigabytes(answer.leanest->memory->total_bytes));
  }
  say_rows(session, answer.ranked, top);
  session.say("by ring size, the best of each:");
  say_rows(session, answer.by_ring_size, static_cast<std::int64_t>(answer.by_ring_size.size()));
}

void say_diagnosis(Session &session, const sizing::Diagnosis &diagnosis) {
  const sizing::Configuration &configuration = diagnosis.configuration;
  session.say("diagnosis         " + sizing::describe(configuration) + ", " +
              std::string(memory::name(configuration.kernel)) + " kernel: " + gigabytes(diagnosis.need.total_bytes) +
              " of " + gigabytes(diagnosis.budget_bytes) + (diagnosis.fits ? ", fits" : ", does not fit") +
              "; most of it " + std::string(memory::name(diagnosis.need.largest_purpose())) + " (analytic)");
  if (!diagnosis.fits) {
    session.say(diagnosis.fitting_ring_size > 0
                    ? "  fits as it is with a ring of " + std::to_string(diagnosis.fitting_ring_size)
                    : std::string("  fits with no number of ranks as it is"));
  }
  for (const sizing::Saving &saving : diagnosis.savings) {
    std::array<char, 200> text{};
    std::snprintf(text.data(), text.size(), "  saves %12.6g GB  %-15s %s -> %s%s%s",
                  static_cast<double>(saving.saved_bytes) / 1e9, saving.setting.c_str(), saving.from.c_str(),
                  saving.to.c_str(), saving.same_result ? "" : " (other numbers)", saving.fits ? ": fits" : "");
    session.say(text.data());
  }
  if (diagnosis.savings.empty()) {
    session.say("  no single setting saves anything");
  }
  for (const sizing::Remedy &step : diagnosis.remedy) {
    session.say("  then            " + step.setting + " " + step.to + ": " + gigabytes(step.memory_bytes) +
                (step.fits ? ", fits" : ""));
  }
}

void say_calculation(Session &session, const sizing::Calculation &calculation) {
  const auto text = [](const sizing::NamedValues &values) {
    std::string joined;
    for (const auto &[name, value] : values) {
      joined += (joined.empty() ? "" : ", ") + name + " " + sizing::text_of(value);
    }
    return joined;
  };
  const auto outcome = [&](const sizing::Outcome &result) {
    return result.error.empty() ? text(result.values) : result.error;
  };
  session.say(calculation.calculator + "(" + text(calculation.arguments) + ")");
  session.say("  as printed      " + outcome(calculation.as_printed));
  if (!calculation.document_says.empty()) {
    session.say("  document says   " + calculation.document_says);
  }
  session.say("  corrected       " + outcome(calculation.corrected));
  session.say("  difference      " + calculation.difference);
}

} // namespace ringscale::drivers
