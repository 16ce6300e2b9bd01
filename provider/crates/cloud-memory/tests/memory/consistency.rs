//! What servers tell that lag behind.

use crate::harness::{address, cloud, key, launch};
use cloud::{Cloud, ErrorKind, LabelFilter, ObjectId, Phase};
use cloud_memory::{Effect, When};
use std::time::Duration;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_is_new_shows_late_and_what_is_gone_lingers() {
    let cloud = cloud(|settings| settings.lags = vec![2 * SECOND]).await;
    sleep(2 * SECOND).await;
    let reserved = cloud.reserve_address(&address("t")).await.unwrap();
    let launched = cloud.launch(&launch("t", 1)).await.unwrap();
    let id = launched[0].id.clone();
    let count = async || {
        let addresses = cloud.list_addresses(&key(), &LabelFilter::all()).await.unwrap();
        let machines = cloud.list_instances(&key(), &LabelFilter::all()).await.unwrap();
        (addresses.len(), machines.len())
    };
    assert_eq!(count().await, (0, 0));
    // What names it is refused as long as the server does not know it.
    let early = [
        cloud.tag(&key(), &[ObjectId::Instance(id.clone())], &Phase::Ready.tag()).await,
        cloud.release_address(&key(), &reserved.id).await,
        cloud.terminate_instances(&key(), std::slice::from_ref(&id)).await,
        cloud.console(&key(), &id).await.map(drop),
    ];
    assert_eq!(early.map(|call| call.unwrap_err().kind), [ErrorKind::NotVisibleYet; 4]);
    // Its token is known at once.
    let again = cloud.launch(&launch("t", 1)).await.unwrap();
    assert_eq!(again[0].id, id);
    sleep(2 * SECOND).await;
    assert_eq!(count().await, (1, 1));
    cloud.release_address(&key(), &reserved.id).await.unwrap();
    cloud.terminate_instances(&key(), &[id]).await.unwrap();
    assert_eq!(count().await, (1, 1));
    sleep(2 * SECOND).await;
    assert_eq!(count().await, (0, 1));
    sleep(5 * SECOND).await;
    assert_eq!(count().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn two_servers_differ() {
    let cloud = cloud(|settings| settings.lags = vec![60 * SECOND, Duration::ZERO]).await;
    sleep(90 * SECOND).await;
    cloud.launch(&launch("t", 2)).await.unwrap();
    let mut lists = Vec::new();
    for _ in 0..4 {
        lists.push(cloud.list_instances(&key(), &LabelFilter::all()).await.unwrap().len());
    }
    assert!(lists == [0, 2, 0, 2] || lists == [2, 0, 2, 0], "{lists:?}");
}

#[tokio::test(start_paused = true)]
async fn one_list_may_be_older_than_the_others() {
    let cloud = cloud(|_| {}).await;
    sleep(SECOND).await;
    cloud.goes_wrong(When::Of("list_instances", 2), Effect::Stale(SECOND));
    cloud.launch(&launch("t", 1)).await.unwrap();
    let mut lists = Vec::new();
    for _ in 0..3 {
        lists.push(cloud.list_instances(&key(), &LabelFilter::all()).await.unwrap().len());
    }
    assert_eq!(lists, [1, 0, 1]);
}
