-- One database a process; run once by the official image when its volume is empty.
CREATE DATABASE huiyin_collector;
CREATE DATABASE huiyin_analyzer;
CREATE DATABASE huiyin_casework;
CREATE DATABASE huiyin_notifier;
CREATE DATABASE huiyin_gateway;
