//! A proxy that can be cut: what stands between one process and a broker.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

use crate::plan::Cut;

/// How often it is looked whether something has changed.
const TURN: Duration = Duration::from_millis(20);

/// What the connections are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Pass,
    Cut(Cut),
    End,
}

/// A proxy, ended on drop.
pub struct Proxy {
    order: Arc<Mutex<Order>>,
    accepting: Option<JoinHandle<()>>,
}

fn told(order: &Mutex<Order>) -> Order {
    *order.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Passes on what comes to one port to another.
    pub fn start(port: u16, to: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let order = Arc::new(Mutex::new(Order::Pass));
        let orders = order.clone();
        let accepting =
            std::thread::Builder::new().name("proxy".into()).spawn(move || accept(&listener, to, &orders))?;
        Ok(Proxy { order, accepting: Some(accepting) })
    }

    /// Cuts every connection.
    pub fn cut(&self, how: Cut) {
        self.tell(Order::Cut(how));
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.tell(Order::Pass);
    }

    fn tell(&self, order: Order) {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = order;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tell(Order::End);
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

fn accept(listener: &TcpListener, to: u16, orders: &Arc<Mutex<Order>>) {
    while told(orders) != Order::End {
        match listener.accept() {
            // A broker that is down is as good as a connection that is closed at once.
            Ok((near, _)) if told(orders) != Order::Cut(Cut::Closed) => drop(connect(near, to, orders)),
            Ok(_) => {}
            Err(_) => std::thread::sleep(TURN),
        }
    }
}

fn connect(near: TcpStream, to: u16, orders: &Arc<Mutex<Order>>) -> std::io::Result<()> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    for stream in [&near, &far] {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TURN))?;
    }
    for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        let orders = orders.clone();
        std::thread::Builder::new().name("proxied".into()).spawn(move || pass(from, to, &orders))?;
    }
    Ok(())
}

/// Passes bytes on until one side ends, or the connection is to be closed.
fn pass(mut from: TcpStream, mut to: TcpStream, orders: &Mutex<Order>) {
    let mut bytes = [0; 1 << 16];
    loop {
        match told(orders) {
            Order::Cut(Cut::Closed) | Order::End => break,
            Order::Cut(Cut::Silent) => {
                std::thread::sleep(TURN);
                continue;
            }
            Order::Pass => {}
        }
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => {
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
