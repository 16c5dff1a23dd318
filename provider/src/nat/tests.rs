//! Against small routers of the tests' own, on this machine's loopback.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What a router was asked, in its words.
type Asked = Arc<Mutex<Vec<String>>>;

async fn until(asked: &Asked, what: &str) {
    let look = async {
        while !asked.lock().unwrap().iter().any(|one| one.contains(what)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), look).await;
    assert!(found.is_ok(), "{what} is not among {:?}", asked.lock().unwrap());
}

async fn ends_well(wish: Wish, asked: &Asked, made: &str, taken: &str, by: &str) {
    let (told, mut tells) = watch::channel(None);
    let (end, ends) = watch::channel(false);
    let keeping = tokio::spawn(keep(wish, told, ends));
    tells.wait_for(Option::is_some).await.unwrap();
    assert!(tells.borrow().as_ref().unwrap().contains(by));
    until(asked, made).await;
    assert!(!asked.lock().unwrap().iter().any(|one| one.contains(taken)));
    end.send(true).unwrap();
    keeping.await.unwrap();
    until(asked, taken).await;
}

/// RFC 6886 on its one port, at an address of this test alone.
async fn natpmp_router(address: Ipv4Addr) -> Asked {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, 5351)).await.unwrap();
    let asked = Asked::default();
    let kept = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let request = buffer[..length].to_vec();
            let mut answer = vec![0, request[1] | 0x80, 0, 0, 0, 0, 0, 1];
            match request[1] {
                0 => answer.extend_from_slice(&[203, 0, 113, 9]),
                _ => {
                    let lifetime = u32::from_be_bytes(request[8..12].try_into().unwrap());
                    let port = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
                    kept.lock().unwrap().push(match lifetime {
                        0 => format!("drop {}", port(4)),
                        _ => format!("map {} to {}", port(6), port(4)),
                    });
                    // Internal port, external port, lifetime.
                    answer.extend_from_slice(&request[4..12]);
                }
            }
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    asked
}

#[tokio::test]
async fn a_router_with_nat_pmp_maps_the_port_and_unmaps_it_at_the_end() {
    let router = Ipv4Addr::new(127, 53, 51, 1);
    let asked = natpmp_router(router).await;
    let listen = "0.0.0.0:8443".parse().unwrap();
    let wish = Wish { router: Some(router), ..Wish::new(9443, listen) };
    let (address, by) = outside_address(&wish).await.unwrap();
    assert_eq!(address, IpAddr::from([203, 0, 113, 9]));
    assert!(by.contains("NAT-PMP"), "{by}");
    ends_well(wish, &asked, "map 9443 to 8443", "drop 8443", "NAT-PMP").await;
}

const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";

fn description() -> String {
    let device = |kind: &str, inner: &str| {
        format!(
            "<device><deviceType>urn:schemas-upnp-org:device:{kind}:1</deviceType>{inner}</device>"
        )
    };
    let service = format!(
        "<serviceList><service><serviceType>{SERVICE}</serviceType><controlURL>/ctl</controlURL>\
         <SCPDURL>/scpd.xml</SCPDURL></service></serviceList>"
    );
    let list = |inner: String| format!("<deviceList>{inner}</deviceList>");
    let wan = device("WANDevice", &list(device("WANConnectionDevice", &service)));
    let root = device("InternetGatewayDevice", &list(wan));
    format!("<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">{root}</root>")
}

fn actions() -> String {
    let action = |name: &str, arguments: &[&str]| {
        let arguments: String = arguments
            .iter()
            .map(|a| format!("<argument><name>{a}</name><direction>in</direction></argument>"))
            .collect();
        format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
    };
    let add = action(
        "AddPortMapping",
        &[
            "NewRemoteHost",
            "NewExternalPort",
            "NewProtocol",
            "NewInternalPort",
            "NewInternalClient",
            "NewEnabled",
            "NewPortMappingDescription",
            "NewLeaseDuration",
        ],
    );
    let delete = action("DeletePortMapping", &["NewRemoteHost", "NewExternalPort", "NewProtocol"]);
    format!("<?xml version=\"1.0\"?><scpd><actionList>{add}{delete}</actionList></scpd>")
}

/// Answers searches, descriptions and wishes; each connection is for one.
async fn upnp_router() -> (SocketAddr, Asked) {
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("http://{}/desc.xml", http.local_addr().unwrap());
    let search = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = search.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((_, from)) = search.recv_from(&mut buffer).await {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nST: {SERVICE}\r\nLOCATION: {location}\r\nUSN: uuid:1\r\n\r\n"
            );
            let _ = search.send_to(answer.as_bytes(), from).await;
        }
    });
    let asked = Asked::default();
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = http.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let request = whole_request(&mut socket).await;
                let body = match request.split_whitespace().nth(1) {
                    Some("/desc.xml") => description(),
                    Some("/scpd.xml") => actions(),
                    _ => answer_of(&request),
                };
                kept.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n",
                    body.len()
                );
                let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    (address, asked)
}

async fn whole_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = socket.read(&mut buffer).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            match read {
                0 => return text,
                _ => continue,
            }
        };
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
        let wanted: usize = length.and_then(|l| l.trim().parse().ok()).unwrap_or(0);
        if read == 0 || body.len() >= wanted {
            return text;
        }
    }
}

fn answer_of(request: &str) -> String {
    let action = ["AddPortMapping", "DeletePortMapping", "GetExternalIPAddress"]
        .into_iter()
        .find(|action| request.contains(&format!("#{action}")))
        .unwrap_or_default();
    let inner = match action {
        "GetExternalIPAddress" => "<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>",
        _ => "",
    };
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <s:Body><u:{action}Response xmlns:u=\"{SERVICE}\">{inner}</u:{action}Response></s:Body>\
         </s:Envelope>"
    )
}

#[tokio::test]
async fn a_router_with_upnp_alone_maps_the_port_and_unmaps_it_at_the_end() {
    let (address, asked) = upnp_router().await;
    // Nobody speaks NAT-PMP there.
    let router = Some(Ipv4Addr::new(127, 53, 51, 2));
    let listen = "127.0.0.1:8443".parse().unwrap();
    let wish = Wish { router, upnp: Some(address), ..Wish::new(9444, listen) };
    let (outside, by) = outside_address(&wish).await.unwrap();
    assert_eq!(outside, IpAddr::from([203, 0, 113, 9]));
    assert!(by.contains("UPnP"), "{by}");
    ends_well(wish, &asked, "#AddPortMapping", "#DeletePortMapping", "UPnP").await;
    let asked = asked.lock().unwrap();
    let add = asked.iter().find(|one| one.contains("#AddPortMapping")).unwrap();
    for part in
        ["<NewExternalPort>9444<", "<NewInternalPort>8443<", "<NewInternalClient>127.0.0.1<"]
    {
        assert!(add.contains(part), "{part} is not in {add}");
    }
}
