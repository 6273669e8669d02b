//! Advice on pool sizes, end to end: what is recorded, what follows, and how the answer is asked for.

mod causes;
mod law;
mod stage;
