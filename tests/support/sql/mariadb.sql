-- What RDS gives its master user, and what it has for itself.
create user rdsadmin@localhost identified by 'x';
grant all on *.* to rdsadmin@localhost with grant option;
create user master@'%' identified by ':password';
grant select, insert, update, delete, create, drop, reload, process, references, index, alter, show databases, create temporary tables,
  lock tables, execute, create view, show view, create routine, alter routine, create user, event, trigger on *.* to master@'%' with grant option;
create database shop character set utf8mb4 collate utf8mb4_unicode_ci;
create database `odd ``name``; --`;
create database empty;
create database innodb;
create role reader;
create user 'app'@'10.%' identified by 'app' require ssl with max_user_connections 5;
create user `we``ird 'user`@'%' identified by 'it''s';
use shop;
create table items (
  id bigint auto_increment primary key,
  name varchar(200) character set utf8mb4 not null,
  raw_bytes varbinary(300),
  doc json,
  price decimal(10, 2) default 1.5,
  doubled decimal(11, 2) as (price * 2) virtual,
  stored decimal(11, 2) as (price * 3) stored,
  at timestamp(6) default '2026-11-21 09:00:00',
  feeling enum('sad', 'o;k', 'it''s'),
  bits bit(9),
  place point
) comment 'INSERT INTO `x` VALUES\n(1),';
insert into items (name, raw_bytes, doc, feeling, bits, place) values
  ('tab\there', 0x00ff5c2e0a27, '{"a": [1, null]}', 'it''s', b'101010101', point(1, 2)),
  ('line\nbreak),\n(', null, null, 'o;k', null, null),
  ('it''s \\ "quoted";', '', '{}', null, b'0', null),
  ('ünïcödé 🦆', 0x5c, '[]', 'sad', null, null),
  ('', null, null, null, null, null);
create table many (id int primary key, what text) as select seq as id, repeat(md5(seq), 20) as what from seq_1_to_3000;
create table hidden (id int primary key, secret int invisible default 5, what text);
insert into hidden (id, secret, what) values (1, 7, 'a'), (2, null, 'values (');
insert into hidden (id, what) values (3, 'b');
create table hidden_one (id int primary key, secret int invisible);
insert into hidden_one (id, secret) values (1, 9);
create table twins (twice int as (id * 2) virtual, id int primary key, what text, more text default 'x');
create table Twins (id int primary key, twice int as (id * 2) stored, what text);
insert into twins (id, what, more) values (1, 'a', 'b'), (2, 'c', 'd');
insert into Twins (id, what) values (3, 'e');
create table nothing (id int);
create table child (id int primary key, item bigint, constraint of_item foreign key (item) references items (id) on delete cascade);
insert into child values (1, 1), (2, null);
create table old (id int primary key, t text) engine=myisam;
insert into old values (1, 'a'), (2, 'b');
create view cheap as select id, name from items where price < 2;
create definer = 'app'@'10.%' view defined as select 1 as one;
create sequence numbers start with 7 increment by 5;
select nextval(numbers);
delimiter ;;
create procedure evil(in x int)
begin
  -- it's a comment
  # isn't it
  select 'INSERT INTO `items` VALUES
(1,2);' as text;
end;;
create function twice(x int) returns int deterministic return x * 2;;
create trigger stamp before insert on items for each row begin if new.name = 'never' then set new.price = 0; end if; end;;
create event nightly on schedule every 1 day starts '2030-01-01 00:00:00' do delete from shop.many where id < 0;;
delimiter ;
use `odd ``name``; --`;
create table `t ``x```(`col ``y``` int, `select` text);
insert into `t ``x``` values (1, 'a'), (2, null);
grant select on shop.* to reader;
grant reader to 'app'@'10.%';
set default role reader for 'app'@'10.%';
grant select (id, name), update (name) on shop.items to `we``ird 'user`@'%';
grant execute on procedure shop.evil to `we``ird 'user`@'%';
grant all on `odd ``name``; --`.* to 'app'@'10.%';
