//! The program of the README: events, a decider, a command, a read model.
use mainspring::{App, Decider, Event, Failure, Projection, Recorded, Repository, sqlite::Views};
use sqlx::{SqliteConnection, query, query_scalar};

#[derive(serde::Serialize, serde::Deserialize, Event)]
enum AccountEvent {
    Deposited { cents: i64 },
    Withdrawn { cents: i64 },
}

#[derive(Default)]
struct Account(i64); // its balance in cents

impl Decider for Account {
    const CATEGORY: &'static str = "account"; // streams account-ada, account-bob, …
    type Id = str;
    type Command = i64; // cents to add; less than zero to take
    type Event = AccountEvent;
    type Error = std::io::Error;

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents } => self.0 += cents,
            AccountEvent::Withdrawn { cents } => self.0 -= cents,
        }
    }
    fn decide(&self, cents: i64) -> Result<Vec<AccountEvent>, std::io::Error> {
        match cents {
            0.. => Ok(vec![AccountEvent::Deposited { cents }]),
            _ if self.0 + cents < 0 => Err(std::io::Error::other(format!("only {} cents are there", self.0))),
            _ => Ok(vec![AccountEvent::Withdrawn { cents: -cents }]),
        }
    }
}

struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1; // raise it: built anew beside the old one, which serves until then
    type View = Views;
    type Event = AccountEvent;

    async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
        query("CREATE TABLE balances (owner TEXT PRIMARY KEY, cents INTEGER)").execute(db).await?;
        Ok(())
    }
    async fn apply(&self, db: &mut SqliteConnection, account: &Recorded<AccountEvent>) -> Result<(), Failure> {
        let cents = match account.event {
            AccountEvent::Deposited { cents } => cents,
            AccountEvent::Withdrawn { cents } => -cents,
        };
        let add = "INSERT INTO balances VALUES (?1, ?2) ON CONFLICT DO UPDATE SET cents = cents + ?2";
        query(add).bind(account.key()).bind(cents).execute(db).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut app = App::open("disk:./bank-data").await?;
    let accounts = Repository::<Account>::new(app.store());
    let balances = app.project(Balances, Views::open("./bank-data/views").await?).await?;
    app.run_until(async {
        accounts.handle("ada", 70).await?;
        let receipt = accounts.handle("ada", -50).await?; // durable once it is answered
        accounts.handle("ada", -1_000_000).await.expect_err("nobody can overdraw an account");
        let db = balances.read_after(receipt.position, std::time::Duration::from_secs(5)).await?; // read your writes
        let cents: i64 = query_scalar("SELECT cents FROM balances WHERE owner = 'ada'").fetch_one(&db).await?;
        println!("ada has {cents} cents after {} events", receipt.version);
        Ok(())
    })
    .await?
}
