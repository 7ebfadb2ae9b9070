document.title = "Order desk";
