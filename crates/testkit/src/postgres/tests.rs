use super::*;

fn start(options: &[&str]) -> PostgresServer {
    PostgresServer::start(Authentication::Trust, options).unwrap()
}

#[test]
fn a_killed_server_keeps_what_it_committed() {
    let mut server = start(&["max_connections=20"]);
    assert_eq!(server.query("SHOW max_connections").unwrap(), "20");
    server.query("CREATE TABLE t AS SELECT 7 AS n").unwrap();
    server.kill().unwrap();
    assert!(server.query("SELECT 1").is_err());
    server.restart().unwrap();
    assert_eq!(server.query("SELECT n FROM t").unwrap(), "7");
    server.stop().unwrap();
    server.restart().unwrap();
    assert_eq!(server.query("SELECT n FROM t").unwrap(), "7");
}

#[test]
fn a_password_and_pgbouncer() {
    let server = PostgresServer::start(Authentication::Scram, &[]).unwrap();
    let ask = |url: &str| {
        let mut psql = server.client("psql");
        psql.env_remove("PGPASSWORD")
            .args(["--no-password", "--dbname", url]);
        output(psql.args(["--command", "SELECT 1"]))
    };
    let url = server.url();
    ask(&url).unwrap();
    ask(&url.replace("test-password", "wrong")).unwrap_err();
    let bouncer = PgBouncer::start(&server, &["max_client_conn=50"]).unwrap();
    ask(&server.url_at(bouncer.port())).unwrap();
}

#[test]
fn a_synchronous_standby_has_all_when_the_primary_is_killed_or_stalls() {
    let mut primary = start(&[]);
    primary.query("CREATE TABLE t (n int)").unwrap();
    let mut standby = PostgresServer::standby_of(&primary, &[]).unwrap();
    primary.wait_for_synchronous(&standby).unwrap();
    primary.query("INSERT INTO t VALUES (1)").unwrap();
    primary.kill().unwrap();
    standby.set("synchronous_standby_names", "").unwrap();
    standby.promote().unwrap();
    assert_eq!(standby.query("SELECT n FROM t").unwrap(), "1");
    standby.query("INSERT INTO t VALUES (2)").unwrap();

    let next = PostgresServer::standby_of(&standby, &[]).unwrap();
    standby.wait_for_synchronous(&next).unwrap();
    standby.query("INSERT INTO t VALUES (3)").unwrap();
    standby.stall().unwrap();
    next.promote().unwrap();
    let rows = "SELECT count(*) FROM t";
    assert_eq!(next.query(rows).unwrap(), "3");
    standby.resume().unwrap();
    // It still takes no commit: its standby is gone.
    let mut insert = standby.client("psql");
    insert.args(["--command", "INSERT INTO t VALUES (4)"]);
    let mut insert = Process::spawn(&mut insert).unwrap();
    wait("no commit waits", || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        Ok(standby.query(waiting)? == "1")
    })
    .unwrap();
    assert!(!insert.has_ended().unwrap());
    assert_eq!(standby.query(rows).unwrap(), "3");
    standby.kill().unwrap();
}
