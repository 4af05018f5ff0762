// SkipCRF: whole dialogues in batches, and one dialogue as it goes on.
#include <pybind11/stl.h>

#include <limits>
#include <mutex>

#include "affectrt/ops/ops.h"
#include "array.h"

namespace affectrt::bindings {
namespace {

py::array_t<std::int64_t> as_integers(const py::object& object, const std::string& name) {
  const py::array array = as_array(object, name);
  const char kind = array.dtype().kind();
  if (kind != 'i' && kind != 'u')
    throw py::type_error(name + ": expected integers, got dtype " + py::str(array.dtype()).cast<std::string>());
  return py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>::ensure(array);
}

std::span<const float> floats(const py::array_t<float>& array) { return {array.data(), static_cast<std::size_t>(array.size())}; }

[[noreturn]] void wrong_shape(const std::string& name, const std::string& expected, const py::array& array) {
  throw std::invalid_argument(name + ": expected shape " + expected + ", got " + shape_text(array));
}

// The four arrays of weights, held as long as they are read.
struct HeldCrf {
  py::array_t<float> start, end, self, other;
  SkipCrf crf;

  HeldCrf(const py::object& start_, const py::object& end_, const py::object& self_, const py::object& other_)
      : start(as_floats(start_, "start")),
        end(as_floats(end_, "end")),
        self(as_floats(self_, "self_transitions")),
        other(as_floats(other_, "other_transitions")) {
    if (start.ndim() != 1) wrong_shape("start", "(tags,)", start);
    const py::ssize_t tags = start.shape(0);
    const std::string square = "(" + std::to_string(tags) + ", " + std::to_string(tags) + ")";
    if (end.ndim() != 1 || end.shape(0) != tags) wrong_shape("end", "(" + std::to_string(tags) + ",)", end);
    for (const auto& [name, matrix] : {std::pair("self_transitions", &self), std::pair("other_transitions", &other)})
      if (matrix->ndim() != 2 || matrix->shape(0) != tags || matrix->shape(1) != tags) wrong_shape(name, square, *matrix);
    if (tags > kMaxCrfTags)
      throw std::invalid_argument("start: expected at most " + std::to_string(kMaxCrfTags) + " tags, got " + std::to_string(tags));
    crf = {static_cast<int>(tags), floats(start), floats(end), floats(self), floats(other)};
  }
};

struct HeldBatch {
  py::array_t<float> emissions;
  py::array_t<std::int64_t> speakers;
  std::vector<std::int32_t> lengths;
  SkipCrfBatch batch;

  HeldBatch(const py::object& emissions_, const py::object& speakers_, const py::object& lengths_, int tags)
      : emissions(as_floats(emissions_, "emissions")), speakers(as_integers(speakers_, "speakers")) {
    if (emissions.ndim() != 3 || emissions.shape(2) != tags)
      wrong_shape("emissions", "(batch, utterances, " + std::to_string(tags) + ")", emissions);
    const py::ssize_t count = emissions.shape(0), utterances = emissions.shape(1);
    if (count > std::numeric_limits<int>::max() || utterances > std::numeric_limits<int>::max())
      throw std::invalid_argument("emissions: expected sides under 2^31, got " + shape_text(emissions));
    if (speakers.ndim() != 2 || speakers.shape(0) != count || speakers.shape(1) != utterances)
      wrong_shape("speakers", "(" + std::to_string(count) + ", " + std::to_string(utterances) + ")", speakers);
    if (!lengths_.is_none()) {
      const auto given = as_integers(lengths_, "lengths");
      if (given.ndim() != 1 || given.shape(0) != count) wrong_shape("lengths", "(" + std::to_string(count) + ",)", given);
      // Before they are narrowed, or 2^32 + 1 would be 1.
      for (py::ssize_t i = 0; i < count; ++i) {
        if (given.data()[i] < 0 || given.data()[i] > utterances)
          throw std::invalid_argument("lengths: expected 0 to " + std::to_string(utterances) + ", got " + std::to_string(given.data()[i]) +
                                      " for dialogue " + std::to_string(i));
        lengths.push_back(static_cast<std::int32_t>(given.data()[i]));
      }
    }
    batch = {static_cast<int>(count),
             static_cast<int>(utterances),
             floats(emissions),
             {speakers.data(), static_cast<std::size_t>(speakers.size())},
             lengths};
  }
};

py::tuple decode(const py::object& emissions, const py::object& speakers, const py::object& lengths, const py::object& start,
                 const py::object& end, const py::object& self_transitions, const py::object& other_transitions) {
  const HeldCrf held(start, end, self_transitions, other_transitions);
  const HeldBatch dialogues(emissions, speakers, lengths, held.crf.tags);
  const py::ssize_t batch = dialogues.batch.batch, utterances = dialogues.batch.utterances;
  py::array_t<std::int32_t> tags({batch, utterances});
  py::array_t<double> scores(batch);
  const std::span<std::int32_t> tags_out(tags.mutable_data(), static_cast<std::size_t>(tags.size()));
  const std::span<double> scores_out(scores.mutable_data(), static_cast<std::size_t>(batch));
  {
    py::gil_scoped_release release;
    skip_crf_decode(held.crf, dialogues.batch, tags_out, scores_out);
  }
  return py::make_tuple(std::move(tags), std::move(scores));
}

py::tuple marginals(const py::object& emissions, const py::object& speakers, const py::object& lengths, const py::object& start,
                    const py::object& end, const py::object& self_transitions, const py::object& other_transitions) {
  const HeldCrf held(start, end, self_transitions, other_transitions);
  const HeldBatch dialogues(emissions, speakers, lengths, held.crf.tags);
  const py::ssize_t batch = dialogues.batch.batch, utterances = dialogues.batch.utterances;
  py::array_t<float> probs({batch, utterances, static_cast<py::ssize_t>(held.crf.tags)});
  py::array_t<double> log_partition(batch);
  const std::span<float> probs_out(probs.mutable_data(), static_cast<std::size_t>(probs.size()));
  const std::span<double> partition_out(log_partition.mutable_data(), static_cast<std::size_t>(batch));
  {
    py::gil_scoped_release release;
    skip_crf_marginals(held.crf, dialogues.batch, probs_out, partition_out);
  }
  return py::make_tuple(std::move(probs), std::move(log_partition));
}

// Python's threads may share one: a lock of its own stands in for the interpreter's, which is free while it computes.
class Stream {
 public:
  Stream(const HeldCrf& held, std::int64_t history) : stream_(held.crf, static_cast<std::size_t>(history)) {}

  std::vector<std::int64_t> push(const py::object& emissions, std::int64_t speaker) {
    const auto values = as_floats(emissions, "emissions");
    if (values.ndim() != 1) wrong_shape("emissions", "(tags,)", values);
    py::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    return stream_.push(floats(values), speaker);
  }

  // Copies out under the lock, and lets go of it before Python's comes back.
  template <class T, class Read>
  T read(const Read& of) const {
    py::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    return of(stream_);
  }

 private:
  mutable std::mutex mutex_;
  SkipCrfStream stream_;
};

}  // namespace
}  // namespace affectrt::bindings

void bind_skip_crf(pybind11::module_& module) {
  namespace py = pybind11;
  using namespace affectrt::bindings;
  using affectrt::SkipCrfStream;

  module.def("skip_crf_decode", &decode, py::arg("emissions"), py::arg("speakers"), py::kw_only(), py::arg("lengths") = py::none(),
             py::arg("start"), py::arg("end"), py::arg("self_transitions"), py::arg("other_transitions"),
             "The best sequence of tags of each dialogue by a SkipCRF (EmotionIC, Liu et al., 2023), exactly: tags (B, T) int32, -1 beyond "
             "a dialogue's\nlength, and scores (B,) float64. emissions (B, T, K) float32 and speakers (B, T) integers; lengths (B,) are "
             "integers, None: all are T.\nstart and end (K,), self_transitions and other_transitions (K, K) from row to column, float32 "
             "logarithms of which -inf forbids. Where\nevery sequence is forbidden, tags are -1 and the score is -inf. Of equally good "
             "sequences that one wins whose tags are lowest, compared\nat the last utterance first, then at the end of the run before it, "
             "then backwards through the last run, and so on. T K^2 bytes at work.");
  module.def(
      "skip_crf_marginals", &marginals, py::arg("emissions"), py::arg("speakers"), py::kw_only(), py::arg("lengths") = py::none(),
      py::arg("start"), py::arg("end"), py::arg("self_transitions"), py::arg("other_transitions"),
      "The probability of each tag over all sequences of a SkipCRF, (B, T, K) float32, zeros beyond a dialogue's length, and the "
      "logarithm of\nthe sum of exp(score) over all sequences, (B,) float64. Arguments as of skip_crf_decode. 8 T K^2 bytes at work.");

  py::class_<Stream>(module, "SkipCrfStream", "A dialogue as it goes on: after each utterance, what skip_crf_decode gives for it so far.")
      .def(py::init([](const py::object& start, const py::object& end, const py::object& self_transitions,
                       const py::object& other_transitions, std::int64_t history) {
             if (history < 1) throw std::invalid_argument("history: expected at least 1, got " + std::to_string(history));
             return std::make_unique<Stream>(HeldCrf(start, end, self_transitions, other_transitions), history);
           }),
           py::kw_only(), py::arg("start"), py::arg("end"), py::arg("self_transitions"), py::arg("other_transitions"),
           py::arg("history") = 1000)
      .def("push", &Stream::push, py::arg("emissions"), py::arg("speaker"),
           "One more utterance, (K,) float32. Returns the positions of earlier ones, oldest first, whose tag is now another.")
      .def_property_readonly(
          "tags",
          [](const Stream& stream) {
            const auto tags = stream.read<std::vector<std::int32_t>>([](const SkipCrfStream& s) { return s.tags(); });
            return py::array_t<std::int32_t>(static_cast<py::ssize_t>(tags.size()), tags.data());
          },
          "Of the last utterances, as many as `history` at most: int32.")
      .def_property_readonly(
          "probs",
          [](const Stream& stream) {
            return to_numpy(stream.read<std::vector<float>>(
                [](const SkipCrfStream& s) { return std::vector<float>(s.probs().begin(), s.probs().end()); }));
          },
          "(K,) float32: probabilities of the newest utterance's tags, as skip_crf_marginals gives them for the dialogue so far.")
      .def_property_readonly("score",
                             [](const Stream& stream) { return stream.read<double>([](const SkipCrfStream& s) { return s.score(); }); })
      .def("__len__", [](const Stream& stream) { return stream.read<std::int64_t>([](const SkipCrfStream& s) { return s.size(); }); });
}
