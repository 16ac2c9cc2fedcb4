//! `serve`: what a browser is given, what it is refused, and what a page may have done.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value as Json, json};

use crate::support::{Trialmill, eventually};

struct Server {
    child: Child,
    port: u16,
    token: String,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Server {
    fn start(study: &Trialmill, options: &[&str]) -> Self {
        let arguments = [&["serve", "--port", "0"], options].concat();
        let mut command = study.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = said.next().unwrap().unwrap();
        // The rest of what it says goes nowhere, and must not stop it.
        std::thread::spawn(move || said.for_each(drop));
        let address = line.strip_prefix("open http://127.0.0.1:").unwrap();
        let (port, rest) = address.split_once('/').unwrap();
        let token = rest.strip_prefix("#token=").unwrap_or("").to_string();
        Server { child, port: port.parse().unwrap(), token }
    }

    fn ask(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        answer_of(&mut stream, head, body)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n", self.port), "")
    }

    fn json(&self, path: &str) -> Json {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    fn act(&self, token: &str, action: &Json) -> Answer {
        let body = action.to_string();
        let head = format!(
            "POST /api/act HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.ask(&head, &body)
    }
}

fn answer_of(stream: &mut (impl Read + Write), head: &str, body: &str) -> Answer {
    write!(stream, "{head}Connection: close\r\n\r\n{body}").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.into() }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.child.id() as i32),
            Signal::SIGTERM,
        );
        let _ = self.child.wait();
    }
}

fn with_a_crash() -> Trialmill {
    let study = Trialmill::new(6);
    let script = r#"echo "trial $TRIALMILL_TRIAL_ID"; case "$TRIALMILL_TRIAL_ID" in 3) exit 1;; esac;
        echo "{\"objective_to_minimize\": 0.$TRIALMILL_TRIAL_ID, \"learning_curve\": [3, 2]}""#;
    study.run_study(&[], script).exits(0);
    study
}

#[test]
fn a_page_shows_what_the_program_says() {
    let study = with_a_crash();
    let server = Server::start(&study, &["s"]);
    let list = server.json("/api/studies");
    assert_eq!(
        (&list["studies"][0]["key"], &list["studies"][0]["trials"]),
        (&json!("s"), &json!(6))
    );
    let page = server.json("/api/study?s=s");
    let status = study.status();
    assert_eq!(page["trials"], status["trials"]);
    assert_eq!(page["best"]["id"], status["best"]["id"]);
    assert_eq!((&page["counts"]["success"], &page["counts"]["crashed"]), (&json!(5), &json!(1)));
    assert_eq!(page["errors"][0]["count"], 1);
    let trial = server.json("/api/trial?s=s&id=3");
    assert_eq!(trial["row"], study.trials()[2]);
    assert_eq!(trial["attempts"][0]["ending"], "crashed");
    for name in ["history", "importance", "ecdf", "curves", "budget", "errors", "timeline"] {
        assert!(!server.json(&format!("/api/figure?s=s&name={name}")).is_null(), "{name}");
    }
    assert_eq!(
        server.json("/api/trials?s=s&sort=objective&limit=2")["rows"][0]["id"],
        page["best"]["id"]
    );
    assert_eq!(server.json("/api/trials?s=s&state=crashed")["total"], 1);
    assert_eq!(server.json("/api/trials?s=s&text=exit")["rows"][0]["id"], "3");
    let log = server.get("/api/log?s=s&id=2&name=attempt-1.stdout.log&from=0");
    assert!(log.body.contains("trial 2") && log.head.contains("content-type: text/plain"));
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("trialmill_trials{study=\"s\",state=\"success\"} 5"), "{metrics}");
    for page in ["/", "/index.html", "/study.html?s=s", "/any/path/behind/a/proxy/style.css"] {
        assert_eq!(server.get(page).status, 200, "{page}");
    }
}

#[test]
fn a_foreign_page_gets_nothing_and_a_page_of_ours_can_load_nothing_foreign() {
    let study = with_a_crash();
    let server = Server::start(&study, &["s"]);
    for host in ["evil.example", "evil.example:8765", "127.0.0.1.evil.example"] {
        let answer = server.ask(&format!("GET /api/studies HTTP/1.1\r\nHost: {host}\r\n"), "");
        assert_eq!(answer.status, 421, "{host}");
        assert!(!answer.body.contains("\"studies\""));
    }
    let head = server.get("/").head;
    assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    assert!(
        head.contains("x-content-type-options: nosniff") && !head.contains("access-control-allow")
    );
    for path in [
        "/api/log?s=s&id=1&name=../../study.json&from=0",
        "/api/log?s=s&id=..&name=study.json&from=0",
        "/api/log?s=../..&id=1&name=x&from=0",
        "/api/study?s=/etc",
        "/api/trial?s=s&id=99",
        "/../../etc/passwd",
        "/api/nothing",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn nothing_changes_without_the_token_and_each_action_is_in_the_journal() {
    let study = with_a_crash();
    let server = Server::start(&study, &["s"]);
    let retry = json!({"s": "s", "action": "retry", "trial": "3"});
    let journal = study.read("s/journal.jsonl");
    for wrong in ["", "x", &server.token[1..], &format!("{}0", server.token)] {
        assert_eq!(server.act(wrong, &retry).status, 401, "{wrong:?}");
    }
    assert_eq!(server.get("/api/act").status, 404);
    assert_eq!(server.act(&server.token, &json!({"s": "s", "action": "format"})).status, 400);
    assert_eq!(
        server.act(&server.token, &json!({"s": "s", "action": "retry", "trial": "1"})).status,
        409
    );
    assert_eq!(study.read("s/journal.jsonl"), journal);

    assert_eq!(server.act(&server.token, &retry).status, 200);
    assert_eq!(study.states()[2], "pending");
    assert!(study.read("s/journal.jsonl").contains("\"requeued\""));
    let more = json!({"s": "s", "action": "budget", "evaluations": 10});
    assert_eq!(server.act(&server.token, &more).status, 200);
    assert_eq!(study.status()["budget"]["evaluations"], 16);
    study.run(&["ask", "s", "-n", "1", "--json"]).exits(0);
    let release = json!({"s": "s", "action": "release", "trial": "3"});
    assert_eq!(server.act(&server.token, &release).status, 200);
    study.run(&["check", "s"]).exits(0);

    let still = Server::start(&study, &["s", "--read-only"]);
    assert_eq!(still.token, "");
    assert_eq!(still.act(&server.token, &retry).status, 403);
}

#[test]
fn a_page_pauses_enqueues_enlarges_and_stops_and_each_is_in_the_journal() {
    let study = Trialmill::new(4);
    let held = study
        .start_study(&["--workers", "1"], "while [ ! -e $HERE/go ]; do sleep 0.02; done; echo 0.5");
    eventually("the first trial runs", || study.path("s/trials/1").exists());
    let server = Server::start(&study, &["s"]);
    let still = Server::start(&study, &["s", "--read-only"]);
    let of = |action: &str, more: Json| {
        let mut json = json!({"s": "s", "action": action});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    let form = server.json("/api/form?s=s");
    let (name, config) = (form["fields"][0]["name"].as_str().unwrap(), json!({"x": "0.25"}));
    assert_eq!((name, &form["known"]), ("x", &json!(true)));
    let all = [
        of("pause", json!({})),
        of("resume", json!({})),
        of("enqueue", json!({ "config": config })),
        of("budget", json!({"evaluations": 3})),
        of("stop", json!({})),
        of("stop", json!({"now": true})),
    ];
    let journal = study.read("s/journal.jsonl");
    for action in &all {
        assert_eq!(server.act("", action).status, 401, "{action}");
        assert_eq!(server.act(&still.token, action).status, 401, "{action}");
        assert_eq!(still.act(&server.token, action).status, 403, "{action}");
    }
    // What makes no sense is refused with the reason, and changes nothing.
    for (wrong, why) in [
        (of("budget", json!({"evaluations": 0})), "0 more"),
        (of("budget", json!({"cost": 3.0})), "no limit of cost"),
        (of("budget", json!({})), "how much more"),
        (of("enqueue", json!({"config": {"x": "7"}})), "'x'"),
        (of("enqueue", json!({"config": {"y": "0"}})), "'y' is not a parameter"),
        (of("release", json!({"trial": "1"})), "only it can hand it back"),
        (of("retry", json!({"trial": "9"})), "'9'"),
    ] {
        let answer = server.act(&server.token, &wrong);
        assert!(answer.status == 409 && answer.body.contains(why), "{wrong}: {}", answer.body);
    }
    assert_eq!(study.read("s/journal.jsonl"), journal);
    let says = |action: &Json, what: &str| {
        let answer = server.act(&server.token, action);
        assert!(answer.status == 200 && answer.body.contains(what), "{action}: {}", answer.body);
    };
    says(&all[0], "paused; 1 trial in progress");
    assert_eq!(server.json("/api/study?s=s")["policy"]["paused"], true);
    study.run(&["ask", "s"]).exits(9).says(&["paused"]);
    says(&all[1], "handed out again");
    says(&all[2], "trial 2 waits, and is evaluated next");
    assert_eq!(study.trials()[1]["config"]["x"], 0.25);
    says(&all[3], "7 evaluations are allowed now");
    says(&all[4], "1 trial in progress first");
    study.write("go", "");
    held.end().exits(130);
    assert_eq!(study.states(), ["success", "pending"]);
    says(&all[5], "no process works on this study");
    study.run(&["check", "s"]).exits(0);
}

#[test]
fn a_page_of_a_directory_of_neps_says_what_it_cannot() {
    let study = Trialmill::new(1);
    study.run(&["create", "study.yaml", "--dir", "ours", "--layout", "neps"]).exits(0);
    // Its program alone knows the space of a study that NePS 0.12 made.
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/neps/0.12.2/hyperband");
    assert!(
        Command::new("cp")
            .arg("-r")
            .args([&fixture, &study.path("theirs")])
            .status()
            .unwrap()
            .success()
    );
    let server = Server::start(&study, &["ours", "theirs"]);
    for (key, is_known) in [("ours", true), ("theirs", false)] {
        let act = |action: &str| {
            server.act(&server.token, &json!({"s": key, "action": action, "config": {"x": 0.5}}))
        };
        assert_eq!(server.json(&format!("/api/study?s={key}"))["shared"], true);
        assert_eq!(server.json(&format!("/api/form?s={key}"))["known"], is_known);
        let said = act("pause");
        assert!(
            said.status == 200 && said.body.contains("NePS's own workers know of no such thing"),
            "{}",
            said.body
        );
        assert_eq!(act("resume").status, 200);
        let said = act("enqueue");
        let is_refused =
            said.status == 409 && said.body.contains("does not say what the search space is");
        assert_eq!((said.status == 200, is_refused), (is_known, !is_known), "{}", said.body);
    }
}

#[test]
fn a_page_hears_of_a_trial_that_another_process_ends() {
    let study = Trialmill::new(400);
    study.create();
    let server = Server::start(&study, &["."]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    // What is served is a folder: the key begins with its name.
    let key = server.json("/api/studies")["studies"][0]["key"].as_str().unwrap().to_string();
    write!(stream, "GET /api/events?s={key} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut events = BufReader::new(stream).lines().map_while(Result::ok);
    let mut next = || {
        let data = events.find(|line| line.starts_with("data: ")).unwrap();
        serde_json::from_str::<Json>(&data[6..]).unwrap()
    };
    assert_eq!(next()["ended"], 0);
    study.run(&["ask", "s", "-n", "2", "--json"]).exits(0);
    study.run(&["tell", "s", "1", "--objective", "0.5"]).exits(0);
    // Each event says all, and several changes may be one event.
    let mut heard = next();
    while heard["ended"] != 1 {
        heard = next();
    }
    assert_eq!((&heard["best"], &heard["counts"]["success"]), (&json!(0.5), &json!(1)));
}

#[test]
fn a_socket_file_is_its_owners_alone() {
    let study = with_a_crash();
    let path = study.path("web.sock");
    let mut command = study.command(&["serve", "s", "--socket", "web.sock"]);
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    let server = Server { child, port: 0, token: String::new() };
    eventually("the socket is there", || path.exists());
    assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let mut stream = UnixStream::connect(&path).unwrap();
    let answer = answer_of(&mut stream, "GET /api/studies HTTP/1.1\r\nHost: localhost\r\n", "");
    assert!(answer.status == 200 && answer.body.contains("\"trials\":6"));
    let second = study.run(&["serve", "s", "--socket", "web.sock"]);
    second.exits(4).says(&["another server listens there"]);
    study.write("a-file", "mine");
    study.run(&["serve", "s", "--socket", "a-file"]).exits(4).says(&["not overwritten"]);
    assert_eq!(study.read("a-file"), "mine");
    drop(server);
    assert!(!path.exists(), "it is gone with its server");
}

#[test]
fn what_cannot_be_served_is_said() {
    let study = Trialmill::new(1);
    study.run(&["serve", "nowhere"]).exits(2).says(&["nowhere is not a directory"]);
    study.run(&["serve", ".", "--address", "198.51.100.7"]).exits(4).says(&["198.51.100.7"]);
}
