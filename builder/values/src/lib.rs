//! Values that every package below `builder/` uses, and what is done with files and
//! threads everywhere. Knows of no recipe, no store and no image.

pub mod arch;
pub mod atomic;
pub mod date;
pub mod digest;
pub mod epoch;
pub mod full;
pub mod key;
pub mod parallel;
pub mod progress;
pub mod regular;
pub mod signals;
pub mod size;
pub mod stdin;
pub mod system;
pub mod temporary;
pub mod terminal;
pub mod trace;
