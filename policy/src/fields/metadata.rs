//! Fields that every kind has. Kinds whose controllers count, select or own by one of
//! them have a row of their own, which stands before these.

use super::Effect::Nothing;
use super::Row;
use crate::cite;

const API: &str =
    cite!("kubernetes apimachinery meta/v1 types.go: TypeMeta, said again by the request");
const META: &str = cite!(
    "kubernetes apimachinery meta/v1 types.go: ObjectMeta; no controller of this kind counts by it"
);

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("apiVersion", Nothing, API),
    Row::new("kind", Nothing, API),
    Row::new("metadata.annotations.*", Nothing, META),
    Row::new("metadata.creationTimestamp", Nothing, META),
    Row::new("metadata.deletionGracePeriodSeconds", Nothing, META),
    Row::new("metadata.deletionTimestamp", Nothing, META),
    Row::new("metadata.finalizers.**", Nothing, META),
    Row::new("metadata.generateName", Nothing, META),
    Row::new("metadata.generation", Nothing, META),
    Row::new("metadata.labels.*", Nothing, META),
    Row::new("metadata.managedFields.**", Nothing, META),
    Row::new("metadata.name", Nothing, META),
    Row::new("metadata.namespace", Nothing, META),
    Row::new("metadata.ownerReferences.**", Nothing, cite!("kubernetes pkg/controller/garbagecollector: an owner deletes what it owns, and no more")),
    Row::new("metadata.resourceVersion", Nothing, META),
    Row::new("metadata.selfLink", Nothing, META),
    Row::new("metadata.uid", Nothing, META),
];
