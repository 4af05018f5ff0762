// The recursions of skip_crf: raw pointers and sizes only. Sums are float64: over ten thousand utterances float32 would decide between
// sequences by its rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace affectrt::kernels {

// Who speaks, in relation to who spoke: which transitions count at an utterance.
enum class CrfTurn {
  kFirst,   // of the dialogue: none
  kSame,    // goes on speaking: Self from the utterance before
  kReturn,  // A-B-A, speaker of the run before the last: Other from the utterance before and Self from that run's end
  kSwitch,  // anyone else: Other from the utterance before
};

class CrfTurns {
 public:
  CrfTurn next(std::int64_t speaker);

 private:
  int runs_ = 0;
  std::int64_t speaker_ = 0, before_ = 0;  // of the last run, and of the run before it
};

// A matrix of logarithms, from row to column, and its powers for sums that do not underflow.
struct CrfMatrix {
  std::size_t tags = 0;
  std::vector<double> logs, powers;  // powers: exp(log - top)
  double top = 0;

  CrfMatrix(const float* values, std::size_t tags, bool transposed = false);
};

struct CrfWeights {
  std::size_t tags;
  std::vector<double> start, end;
  CrfMatrix self, other, self_transposed;

  CrfWeights(std::size_t tags, const float* start, const float* end, const float* self, const float* other);
};

// One value for each (tag at the end of the run before, tag of the newest utterance); in the dialogue's first run there is one row.
struct CrfTable {
  std::size_t rows = 0;
  std::vector<double> values;
};

struct CrfState {
  std::uint8_t before = 0;  // row: tag at the end of the run before
  std::int16_t tag = -1;    // -1: every sequence is forbidden
  bool operator==(const CrfState&) const = default;
};

// The best sequence: max-sum over the table, with the way back for the utterances that are kept.
class CrfViterbi {
 public:
  explicit CrfViterbi(const CrfWeights& weights) : weights_(&weights) {}

  void push(const float* emissions, CrfTurn turn);
  void drop_oldest() { links_.pop_front(); }
  std::size_t kept() const { return links_.size(); }

  // The state in which the best sequence ends: of equal ones the lowest tag, then the lowest row. Its score is -infinity, and its tag -1,
  // where every sequence is forbidden.
  CrfState best(double& score) const;

  // The state one utterance before `state`, which is that of kept utterance `index` (0 is the oldest, and not to be asked for).
  CrfState before(std::size_t index, CrfState state) const;

 private:
  struct Link {
    CrfTurn turn;
    std::vector<std::uint8_t> from;  // kSame: previous tag by (row, tag); kReturn: previous row by (row, tag); kSwitch: previous row by row
  };

  const CrfWeights* weights_;
  CrfTable table_, scratch_;
  std::deque<Link> links_;
};

// Log-sum over all sequences: one more utterance, in place.
void crf_forward(const CrfWeights& weights, const float* emissions, CrfTurn turn, CrfTable& table, CrfTable& scratch);

// The same from the other end, one utterance back: `table` holds, for each state of the utterance with these emissions and this turn, the
// log-sum over what follows it, and afterwards that for the states of the utterance before, which has `rows` rows.
void crf_backward(const CrfWeights& weights, const float* emissions, CrfTurn turn, std::size_t rows, CrfTable& table, CrfTable& scratch);

// Probabilities of the tags of an utterance from its forward table and what follows (null: only `end`); returns the log-sum over all
// sequences. Zeros, and -infinity, where all are forbidden.
double crf_marginal(const CrfWeights& weights, const CrfTable& forward, const CrfTable* backward, float* probs);

}  // namespace affectrt::kernels
