//! Law 7, case by case: what was surely not written, what may have been, and what the store does after that.
