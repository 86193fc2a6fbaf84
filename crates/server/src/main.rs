//! `device-grant`: the device authorization grant in front of an OpenID Connect user pool.

mod config;

fn main() {
    let environment = std::env::vars().collect();
    let args: Vec<_> = std::env::args().collect();
    if args.len() > 1 && args[1] == "ref" {
        print!("{}", config::reference());
        return;
    }
    match config::load(args.get(1).map(std::path::Path::new), &environment) {
        Ok(c) => println!("{:?} {:?}", c.settings, c.warnings),
        Err(e) => println!("{e}"),
    }
}
