//! What machines that know nothing of Dynamo do. What routers and workers do is judged by the tests of
//! `orchestration`, which read it.

use crate::harness::{cloud, key, launch};
use cloud::{Cloud, InstanceState, LabelFilter};
use cloud_memory::Course;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_life() {
    let cloud = cloud(|settings| {
        settings.starts = 10 * SECOND;
        settings.stops = 4 * SECOND;
    })
    .await;
    let id = cloud.launch(&launch("t", 1)).await.unwrap()[0].id.clone();
    let state = async || {
        let all = cloud.list_instances(&key(), &LabelFilter::all()).await.unwrap();
        all.first().map(|machine| machine.state)
    };
    let console = async || cloud.console(&key(), &id).await.unwrap().text;
    use InstanceState::{Pending, Running, Stopped, Stopping, Terminating};
    assert_eq!((state().await, console().await.as_str()), (Some(Pending), ""));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(state().await, Some(Running));
    assert_eq!(console().await.matches("hello").count(), 1);
    cloud.reboot_instance(&key(), &id).await.unwrap();
    assert_eq!((state().await, console().await.matches("hello").count()), (Some(Running), 1));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(console().await.matches("hello").count(), 2);
    cloud.stop(&id);
    assert_eq!(state().await, Some(Stopping));
    assert!(cloud.start_instance(&key(), &id).await.is_err());
    tokio::time::sleep(4 * SECOND).await;
    assert_eq!(state().await, Some(Stopped));
    cloud.boots(LabelFilter::all(), [Course::IsMute]);
    cloud.start_instance(&key(), &id).await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((state().await, console().await.matches("hello").count()), (Some(Running), 2));
    cloud.terminate_instances(&key(), std::slice::from_ref(&id)).await.unwrap();
    assert_eq!(state().await, Some(Terminating));
    tokio::time::sleep(4 * SECOND).await;
    assert_eq!(state().await, None);
    assert_eq!(cloud.why_ended(&key(), &[id]).await.unwrap().len(), 1);
}
