#![doc = include_str!("../README.md")]

pub mod audit;
pub mod broker;
pub mod credential;
pub mod demo;
pub mod gateway;
pub mod inspect;
pub mod issuer;
pub mod net;
pub mod policy;
pub mod registry;
pub mod signals;
pub mod tls;
pub mod tool;
