//! The routes over a real platform: the embedded driver with every processor and both views.

mod figures;
mod house;
mod late;
mod reads;
mod refusals;
mod writes;
