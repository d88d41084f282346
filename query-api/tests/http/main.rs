//! The routes over a real platform: the embedded driver with every processor and both views.

mod house;
mod reads;
mod refusals;
mod writes;
