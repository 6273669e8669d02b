//! A name server that knows what a test tells it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Answers for as long as it lives, in the runtime that started it.
#[derive(Debug)]
pub struct NameServer {
    address: Ipv4Addr,
    table: Arc<Mutex<Table>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Table {
    addresses: BTreeMap<String, (Vec<IpAddr>, u32)>,
    serials: BTreeMap<String, u32>,
    serials_asked: usize,
    is_silent: bool,
}

impl NameServer {
    /// Listens where resolvers look for name servers: at port 53, of a loopback address that nobody else has taken.
    ///
    /// # Errors
    /// The port is not for everybody.
    pub async fn start() -> io::Result<Self> {
        let [.., high, low] = std::process::id().to_be_bytes();
        for last in 1..=u8::MAX {
            let address = Ipv4Addr::new(127, high | 1, low, last);
            match UdpSocket::bind((address, 53)).await {
                Ok(socket) => {
                    let table = Arc::new(Mutex::new(Table::default()));
                    let task = tokio::spawn(serve(socket, Arc::clone(&table)));
                    return Ok(NameServer { address, table, task });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// What a `resolv.conf` says that names this server alone.
    pub fn resolv_conf(&self) -> String {
        format!("nameserver {}\noptions timeout:1 attempts:2\n", self.address)
    }

    /// What a name stands for from now on, and for how many seconds that may be believed.
    pub fn set(&self, name: &str, addresses: &[IpAddr], ttl: u32) {
        self.table().addresses.insert(name.to_owned(), (addresses.to_vec(), ttl));
    }

    /// The serial number of a zone from now on.
    pub fn set_serial(&self, zone: &str, serial: u32) {
        self.table().serials.insert(zone.to_owned(), serial);
    }

    /// Whether questions are left without an answer.
    pub fn set_silent(&self, is_silent: bool) {
        self.table().is_silent = is_silent;
    }

    /// How often somebody has asked for the serial number of a zone.
    pub fn serials_asked(&self) -> usize {
        self.table().serials_asked
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nobody panics with the table")
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, table: Arc<Mutex<Table>>) {
    let mut bytes = [0; 4096];
    while let Ok((count, from)) = socket.recv_from(&mut bytes).await {
        let Ok(question) = Message::from_vec(&bytes[..count]) else { continue };
        let answer = table.lock().expect("nobody panics with the table").answer(&question);
        if let Some(answer) = answer {
            send(&socket, &answer, from).await;
        }
    }
}

async fn send(socket: &UdpSocket, answer: &Message, to: SocketAddr) {
    let bytes = answer.to_vec().expect("an answer that fits");
    // Whoever asked may have gone.
    let _ = socket.send_to(&bytes, to).await;
}

impl Table {
    fn answer(&mut self, question: &Message) -> Option<Message> {
        let query = question.queries.first()?;
        self.serials_asked += usize::from(query.query_type == RecordType::SOA);
        if self.is_silent {
            return None;
        }
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        let known = query.name.to_ascii().to_lowercase();
        match self.records(known.trim_end_matches('.'), query.query_type) {
            Some((data, ttl)) => {
                let record = |data| Record::from_rdata(query.name.clone(), ttl, data);
                answer.add_answers(data.into_iter().map(record));
            }
            None => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        Some(answer)
    }

    /// What is known of a name, of one kind; `None` where there is no such name.
    fn records(&self, name: &str, kind: RecordType) -> Option<(Vec<RData>, u32)> {
        let serial = self.serials.get(name).filter(|_| kind == RecordType::SOA);
        if let Some(serial) = serial {
            let soa = SOA::new(Name::root(), Name::root(), *serial, 60, 60, 60, 60);
            return Some((vec![RData::SOA(soa)], 60));
        }
        let (addresses, ttl) = self.addresses.get(name)?;
        let data = addresses.iter().filter_map(|address| match (address, kind) {
            (IpAddr::V4(address), RecordType::A) => Some(RData::A(A(*address))),
            (IpAddr::V6(address), RecordType::AAAA) => Some(RData::AAAA(AAAA(*address))),
            _ => None,
        });
        Some((data.collect(), *ttl))
    }
}
